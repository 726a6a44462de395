"""Decoding: JSON of the service as structs of the contract, also when the service is newer.

A newer service may use a status word, or a number beyond a bound, that this contract does not
know. Strict decoding would fail; here such values pass as they are. A wrong type never does.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from tunery.errors import InvalidAnswer

T = TypeVar("T")


def decode(content: bytes, of: type[T]) -> T:
    """Return JSON as a value of a type.

    Raises:
        InvalidAnswer: it is not JSON, or of another type.
    """
    try:
        return msgspec.json.decode(content, type=of)
    except msgspec.ValidationError as error:
        try:
            value: T = _convert(msgspec.json.decode(content), inspect.type_info(of))
        except (msgspec.MsgspecError, RecursionError, TypeError):
            raise InvalidAnswer(f"the answer is not what the contract says: {error}") from None
        return value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidAnswer(f"the answer is not JSON: {error}") from None


def _convert(value: Any, kind: inspect.Type) -> Any:
    match kind:
        case inspect.Metadata(type=inner):
            return _convert(value, inner)
        case inspect.StructType():
            return _struct(value, kind)
        case inspect.ListType(item_type=item) if isinstance(value, list):
            return [_convert(each, item) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case inspect.DictType(value_type=item) if isinstance(value, dict):
            return {key: _convert(each, item) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case inspect.UnionType(types=kinds):
            return _first(value, kinds)
        case inspect.NoneType() if value is None:
            return None
        case inspect.LiteralType() if isinstance(value, str):
            return value
        case inspect.StrType() if isinstance(value, str):
            return value
        case inspect.BoolType() if isinstance(value, bool):
            return value
        case inspect.IntType() if isinstance(value, int) and not isinstance(value, bool):
            return value
        case inspect.FloatType() if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        case inspect.AnyType():
            return value
        case _:
            raise TypeError(f"{type(value).__name__} is not {kind}")


def _first(value: Any, kinds: tuple[inspect.Type, ...]) -> Any:
    for kind in kinds:
        try:
            return _convert(value, kind)
        except TypeError:
            continue
    raise TypeError(f"{type(value).__name__} is none of {kinds}")


def _struct(value: Any, kind: inspect.StructType) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} is not {kind.cls.__name__}")
    fields = {
        field.name: _convert(value[field.encode_name], field.type)
        for field in kind.fields
        if field.encode_name in value
    }
    return kind.cls(**fields)  # TypeError for what is missing
