"""JSONL: one JSON object a line to cells.

Uses the standard decoder, since msgspec keeps the last of two equal keys without a word and turns
`1.0` into a float: a label is the literal that the file has.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tunery.types import Columns, ColumnsUsed
from tunery_trainer.ingest.columns import MAX_COLUMNS, SAMPLE_ROWS, choose
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.lines import Lines
from tunery_trainer.ingest.records import Record, Table, take_sample

Object = tuple[int, dict[str, Any]]  # line, decoded object


class _Literal(str):
    """A JSON number, as it is written."""


class _KeyRepeated(Exception):
    """An object has a key twice."""


def open_jsonl(lines: Lines, wanted: Columns | None, errors: Findings) -> Table | None:
    """Return the table; null when the first objects lack the columns, which is reported."""
    newlines: set[str] = set()
    objects = _read_objects(lines, errors, newlines)
    sample = take_sample(objects, SAMPLE_ROWS, lambda each: len(str(each)))
    whole = [each[1] for each in sample if each is not None]
    if not whole:
        for _ in objects:
            pass  # every line is broken so far: report the rest of them, too
        return None
    names = list(dict.fromkeys(name for each in whole for name in each))
    few = len(names) <= MAX_COLUMNS  # else it is refused, and the cells would be too many
    cells = [[_shown(each.get(name)) for name in names] for each in whole if few]
    used = choose(names, cells, wanted, errors)
    if used is None:
        return None

    def records() -> Iterator[Record | None]:
        for source in (sample, objects):
            for each in source:
                yield None if each is None else _record(each, used, errors)

    return Table(used, records(), None, newlines)


def _read_objects(lines: Lines, errors: Findings, newlines: set[str]) -> Iterator[Object | None]:
    decoder = json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_int=_Literal,
        parse_float=_Literal,
        parse_constant=lambda _: None,  # NaN and the infinities, which JSON doesn't have
    )
    for text in lines:
        body = text.strip()
        if not body:
            continue
        newlines.add(text[len(text.rstrip("\r\n")) :])
        if not is_whole(text):
            yield None  # not UTF-8, which is reported with the file
            continue
        value = _decode(decoder, body, lines.number, errors)
        yield None if value is None else (lines.number, value)


def _decode(
    decoder: json.JSONDecoder, body: str, line: int, errors: Findings
) -> dict[str, Any] | None:
    try:
        value = decoder.decode(body)
    except json.JSONDecodeError as error:
        message = f"the line is not JSON: {error.msg}, at character {error.pos + 1:,}"
        errors.add("malformed-json-line", message, line=line)
    except RecursionError:
        errors.add("json-too-deep", "the JSON is nested too deeply to be read", line=line)
    except _KeyRepeated as error:
        errors.add("duplicate-key", f"the key {quote(str(error))} stands twice", line=line)
    else:
        if isinstance(value, dict):
            return value
        errors.add("not-an-object", f"the line is {_kind(value)}, not an object", line=line)
    return None


def _record(each: Object, used: ColumnsUsed, errors: Findings) -> Record | None:
    line, value = each
    good = True
    for name in (used.text, used.label):
        if name not in value:
            errors.add("missing-field", f"there is no {quote(name)}", line=line, column=name)
            good = False
    if not good:
        return None
    text, label = value[used.text], value[used.label]
    if isinstance(label, bool):
        label = _Literal("true" if label else "false")
    if text is not None and (not isinstance(text, str) or isinstance(text, _Literal)):
        message = f"the text is {_kind(text)}, not a string"
        errors.add("wrong-type", message, line=line, column=used.text)
        good = False
    if label is not None and not isinstance(label, str):
        message = f"the label is {_kind(label)}, not a string or a number"
        hint = "Write labels as JSON strings, numbers or booleans."
        errors.add("wrong-type", message, hint=hint, line=line, column=used.label)
        good = False
    for name, cell in ((used.text, text), (used.label, label)):
        if isinstance(cell, str) and not is_whole(cell):
            message = f"{quote(cell)} holds half a surrogate pair"
            errors.add("invalid-unicode", message, line=line, column=name)
            good = False
    return Record(line, text, None if label is None else str(label)) if good else None


def is_whole(text: str) -> bool:
    """Return whether a string has no lone surrogates, neither escaped bytes nor JSON's own."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _KeyRepeated(counts.most_common(1)[0][0])
    return value


def _kind(value: Any) -> str:
    if isinstance(value, _Literal):
        return f"the number {quote(value)}"
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return names.get(type(value), "null")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else ""
