"""The contract describes itself: bounds, descriptions, examples and one table of problems."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import inspect

import tunery.types
from tunery.types import PROBLEMS, problems
from tunery.types._meta import Answer, Request, about

ROOT = Path(__file__).resolve().parents[2]
# API.md, "Conventions"; 500 is what the service says of its own mistakes.
STATUSES = {400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 421, 422, 429, 431}
STATUSES |= {500, 503, 504, 507}
Struct = type[msgspec.Struct]


def structs() -> list[Struct]:
    """Return every struct that a module of the contract defines."""
    found: list[Struct] = []
    for module in pkgutil.iter_modules(tunery.types.__path__, "tunery.types."):
        for value in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(value, type)
                and issubclass(value, msgspec.Struct)
                and value.__module__ == module.name
                and value not in (Request, Answer)
            ):
                found.append(value)
    return found


def fields_of(struct: Struct) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info.fields


def layers(kind: inspect.Type, *, into: bool) -> Iterator[inspect.Type]:
    """Yield a type and what it is made of; `into` goes into lists and dicts, never into structs."""
    yield kind
    inner: tuple[inspect.Type, ...] = ()
    if isinstance(kind, inspect.Metadata):
        inner = (kind.type,)
    elif isinstance(kind, inspect.UnionType):
        inner = kind.types
    elif into and isinstance(kind, inspect.DictType):
        inner = (kind.key_type, kind.value_type)
    elif into and isinstance(kind, inspect.CollectionType):
        inner = (kind.item_type,)
    for each in inner:
        yield from layers(each, into=into)


def schema_of(field: inspect.Field) -> dict[str, Any]:
    """Return description and examples, of the field or of what it may be."""
    found: dict[str, Any] = {}
    for layer in layers(field.type, into=False):
        if isinstance(layer, inspect.Metadata):
            for key, value in (layer.extra_json_schema or {}).items():
                found.setdefault(key, value)
    return found


def unbounded_numbers(struct: Struct) -> list[str]:
    return [
        f"{struct.__name__}.{field.name}"
        for field in fields_of(struct)
        for layer in layers(field.type, into=True)
        if isinstance(layer, inspect.IntType | inspect.FloatType)
        and ((layer.ge is None and layer.gt is None) or (layer.le is None and layer.lt is None))
    ]


def undescribed(struct: Struct) -> list[str]:
    return [
        f"{struct.__name__}.{field.name}"
        for field in fields_of(struct)
        if not schema_of(field).get("description")
    ]


def without_example(struct: Struct) -> list[str]:
    """Return fields that hold a number or a free string and show none."""
    plain = inspect.IntType | inspect.FloatType | inspect.StrType
    return [
        f"{struct.__name__}.{field.name}"
        for field in fields_of(struct)
        if any(isinstance(layer, plain) for layer in layers(field.type, into=False))
        and all(example is None for example in schema_of(field).get("examples", []))
    ]


def untrue_examples(struct: Struct) -> list[str]:
    """Return fields whose examples they would refuse themselves."""
    found: list[str] = []
    for field, declared in zip(fields_of(struct), msgspec.structs.fields(struct), strict=True):
        for example in schema_of(field).get("examples", []):
            try:
                msgspec.convert(example, declared.type)
            except msgspec.ValidationError as error:
                found.append(f"{struct.__name__}.{field.name}: {error}")
    return found


class Careless(Request, kw_only=True):
    """What the rules must catch."""

    rows: Annotated[int, about("How many.", 3)]
    ratio: Annotated[float, about("Half bounded.", 0.5, ge=0)] = 0.5
    nested: Annotated[dict[str, list[int]], about("Deep.", {})] = {}
    name: str = ""
    label: Annotated[str | None, about("Null is no example.", None)] = None
    share: Annotated[float, about("Its example is too large.", 2.0, ge=0, le=1)] = 0.5


@pytest.mark.parametrize(
    ("rule", "caught"),
    [
        (unbounded_numbers, ["Careless.rows", "Careless.ratio", "Careless.nested"]),
        (undescribed, ["Careless.name"]),
        (without_example, ["Careless.name", "Careless.label"]),
        (untrue_examples, ["Careless.share: Expected `float` <= 1.0"]),
    ],
)
def test_the_rules_catch_a_careless_struct(rule: Any, caught: list[str]) -> None:
    assert rule(Careless) == caught


@pytest.mark.parametrize("rule", [unbounded_numbers, undescribed, without_example, untrue_examples])
def test_every_struct_keeps_the_rule(rule: Any) -> None:
    faults = [fault for struct in structs() for fault in rule(struct)]

    assert faults == []


def test_every_struct_is_exported_and_has_a_docstring() -> None:
    names = {struct.__name__ for struct in structs()}

    assert names <= set(tunery.types.__all__)
    assert [struct for struct in structs() if not (struct.__doc__ or "").strip()] == []


def test_what_a_client_sends_refuses_unknown_fields_and_what_it_gets_does_not() -> None:
    lax = [
        s for s in structs() if issubclass(s, Request) != s.__struct_config__.forbid_unknown_fields
    ]
    unsent = [
        s.__name__
        for s in structs()
        if s.__name__.endswith(("Spec", "Request")) and not issubclass(s, Request)
    ]

    assert lax == []
    assert unsent == []


def test_what_a_request_holds_is_a_request() -> None:
    holds = {
        f"{struct.__name__}.{field.name}": layer.cls
        for struct in structs()
        if issubclass(struct, Request)
        for field in fields_of(struct)
        for layer in layers(field.type, into=True)
        if isinstance(layer, inspect.StructType)
    }

    assert holds
    assert {name: held for name, held in holds.items() if not issubclass(held, Request)} == {}


def test_problem_codes_are_kebab_case_and_unique() -> None:
    codes = [row[0] for row in problems._TABLE]

    assert len(codes) == len(set(codes)) == len(PROBLEMS)
    assert [code for code in codes if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []


def test_problems_have_statuses_of_the_contract() -> None:
    statuses = {code: kind.status for code, kind in PROBLEMS.items()}

    assert {c: s for c, s in statuses.items() if s is not None and s not in STATUSES} == {}


def test_problems_speak_english_and_chinese() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for kind in PROBLEMS.values():
        assert kind.title, kind.code
        assert kind.hint, kind.code
        assert not chinese.search(kind.title + kind.hint), kind.code
        assert chinese.search(kind.title_zh), kind.code
        assert chinese.search(kind.hint_zh), kind.code


def codes_named_in(text: str) -> set[str]:
    """Return the codes that a document names, as JSON or as a path."""
    pairs = re.findall(r'"code":\s*"([a-z-]+)"|/problems/([a-z][a-z-]+)', text)
    return {code for pair in pairs for code in pair if code}


def test_codes_in_documents_exist() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md")]
    named = {code for each in documents for code in codes_named_in(each.read_text("utf-8"))}

    assert named - set(PROBLEMS) == set()
    assert codes_named_in('{"code": "no-such"} /problems/nor-this') == {"no-such", "nor-this"}


def test_codes_in_examples_exist() -> None:
    shown = {
        example.removeprefix("/problems/")
        for struct in structs()
        for field in fields_of(struct)
        if field.name == "code" or (struct.__name__, field.name) == ("Problem", "type")
        for example in schema_of(field)["examples"]
    }

    assert len(shown) >= 3
    assert shown - set(PROBLEMS) == set()
