"""JSON: one object a line, or one array of objects, to cells.

Uses the standard decoder, since msgspec keeps the last of two equal keys without a word and turns
`1.0` into a float: a label is the literal that the file has.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tunery.types import Columns, ColumnsUsed
from tunery_trainer.ingest.columns import MAX_COLUMNS, SAMPLE_ROWS, choose
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.lines import MAX_LINE, Lines, TextFile
from tunery_trainer.ingest.records import (
    Format,
    Opened,
    Record,
    Seen,
    is_whole,
    parts_of,
    take_sample,
)

_ARRAY_PIECE = 2**16  # characters
_SIGN = re.compile(r"\S")

Object = tuple[int, dict[str, Any]]  # line, decoded object
Value = TypeVar("Value")


class _Literal(str):
    """A JSON number, as it is written."""


class _Fault(Exception):
    """What is read can't be decoded; `code` is that of the finding."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def open_jsonl(
    file: TextFile, wanted: Columns | None, aside: str | None, errors: Findings, *, lists: bool
) -> Opened | None:
    """Return the table; null when the first objects lack the columns, which is reported.

    With `lists` a label may be a list of strings.

    A file that is one array of objects is read like one that has an object on each line.
    """
    with file.look():
        array = next(filter(str.strip, file.pieces()), "").lstrip().startswith("[")

    def read(errors: Findings, seen: Seen) -> Iterator[Object | None]:
        if array:
            return _read_array(file.pieces(), errors, seen)
        return _read_objects(file.rest(), errors, seen)

    with file.look():
        sample = take_sample(read(Findings(), Seen()), SAMPLE_ROWS, lambda each: len(str(each)))
    whole = [each[1] for each in sample if each is not None]
    seen = Seen()
    objects = read(errors, seen)
    kind: Format = "json" if array else "jsonl"
    if not whole:  # the rest is read only to report what is broken
        return Opened(None, parts_of(None for _ in objects), kind, seen=seen)
    names = list(dict.fromkeys(name for each in whole for name in each))
    few = len(names) <= MAX_COLUMNS  # else it is refused, and the cells would be too many
    cells = [
        [_written(cell) or "" if lists or not isinstance(cell, list) else ""
         for cell in map(each.get, names)]
        for each in whole
        if few
    ]  # fmt: skip
    chosen = choose(names, cells, wanted, aside, errors)
    if chosen is None:
        return None
    used = chosen.used

    def report_half(record: Record) -> None:
        for name, cell in (
            (used.text, record.text),
            (used.label, record.label),
            (aside, record.aside),
            (used.text_pair, record.text_pair),
        ):
            if cell is not None and not is_whole(cell):
                message = f"{quote(cell)} holds half a surrogate pair"
                errors.add("invalid-unicode", message, line=record.line, column=name)

    records = (
        None if each is None else _record(each, used, aside, errors, lists=lists)
        for each in objects
    )
    return Opened(used, parts_of(records, report_half), kind, seen=seen)


def _read_objects(source: Iterator[str], errors: Findings, seen: Seen) -> Iterator[Object | None]:
    decoder = _decoder()
    lines = Lines(source)
    for text in lines:
        body = text.strip()
        if not body:
            seen.blank_lines += 1
            continue
        seen.newlines.add(text[len(text.rstrip("\r\n")) :])
        if not is_whole(text):
            yield None  # not UTF-8, which is reported with the file
            continue
        try:
            value = _decoded(decoder.decode, body)
        except _Fault as fault:
            errors.add(fault.code, f"the line {fault}", line=lines.number)
            yield None
        else:
            yield _object(value, lines.number, errors, "the line is")


def _read_array(source: Iterator[str], errors: Findings, seen: Seen) -> Iterator[Object | None]:
    """Yield the objects of an array, each with the line on which it begins."""
    text = _ArrayText(source, seen)
    try:
        yield from _elements(text, errors)
    except _Fault as fault:
        errors.add(fault.code, f"the array {fault}", line=text.line)
    for _ in source:
        pass  # where the array has broken off: only to find the lines that can't be decoded


def _elements(text: "_ArrayText", errors: Findings) -> Iterator[Object | None]:
    decoder = _decoder()
    text.skip("[")
    more = not text.skip("]")
    while more:
        text.next_sign()
        line = text.line
        value, raw = text.decode(decoder)
        if is_whole(raw):
            yield _object(value, line, errors, "the array holds")
        else:
            yield None  # not UTF-8, which is reported with the file
        more = text.skip(",")
        if not more and not text.skip("]"):
            lacks = "has no comma here" if text.next_sign() else "is not closed"
            raise _Fault("malformed-json-line", lacks)
    if text.next_sign():
        raise _Fault("malformed-json-line", "is closed, and more follows it")


class _ArrayText:
    """The text of an array, of which only what is being decoded is held."""

    def __init__(self, source: Iterator[str], seen: Seen) -> None:
        self.line = 1
        self._source = source
        self._seen = seen
        self._held = ""
        self._at = 0

    def next_sign(self) -> str:
        """Return the next character that is no blank, "" at the end."""
        while True:
            found = _SIGN.search(self._held, self._at)
            self._pass(found.start() if found else len(self._held))
            if found:
                return found.group()
            if not self._more():
                return ""

    def skip(self, sign: str) -> bool:
        """Go behind a character, if it is the next one; return whether it is."""
        found = self.next_sign() == sign
        self._at += found
        return found

    def decode(self, decoder: json.JSONDecoder) -> tuple[Any, str]:
        """Return the value that begins here and its text, and go behind it.

        Raises:
            _Fault: there is none.
        """
        while True:
            try:
                value, end = _decoded(decoder.raw_decode, self._held, self._at)
            except _Fault as fault:
                if fault.code != "malformed-json-line" or not self._may_grow():
                    raise
            else:
                if end < len(self._held) or not self._may_grow():  # else a number may go on
                    raw = self._held[self._at : end]
                    self._pass(end)
                    return value, raw

    def _pass(self, end: int) -> None:
        held, start = self._held, self._at
        ends = held.count("\n", start, end) + held.count("\r", start, end)
        self.line += ends - held.count("\r\n", start, end)
        self._at = end

    def _may_grow(self) -> bool:
        return len(self._held) - self._at <= MAX_LINE and self._more()

    def _more(self) -> bool:
        # Twice as much each time, so that a value of many lines is not decoded from each of them.
        wanted = max(_ARRAY_PIECE, len(self._held) - self._at)
        pieces = [self._held[self._at :]]
        while wanted > 0 and (piece := next(self._source, "")):
            self._seen.newlines.add(piece[len(piece.rstrip("\r\n")) :])
            pieces.append(piece)
            wanted -= len(piece)
        self._held, self._at = "".join(pieces), 0
        return len(pieces) > 1


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_int=_Literal,
        parse_float=_Literal,
        parse_constant=lambda _: None,  # NaN and the infinities, which JSON doesn't have
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        key = quote(counts.most_common(1)[0][0])
        raise _Fault("duplicate-key", f"has an object with the key {key} twice")
    return value


def _decoded(decode: Callable[..., Value], text: str, *start: int) -> Value:
    """Return what `decode` makes of a text, or of what stands in it from a place on.

    Raises:
        _Fault: nothing; its message follows the name of what was decoded.
    """
    try:
        return decode(text, *start)
    except json.JSONDecodeError as error:
        place = error.pos + 1 - sum(start)
        message = f"is not JSON: {error.msg}, at character {place:,}{' from here' * len(start)}"
        raise _Fault("malformed-json-line", message) from None
    except RecursionError:
        raise _Fault("json-too-deep", "is nested too deeply to be read") from None


def _object(value: Any, line: int, errors: Findings, what: str) -> Object | None:
    """Return a decoded object, or report what else it is."""
    if not isinstance(value, dict):
        errors.add("not-an-object", f"{what} {_kind(value)}, not an object", line=line)
    elif is_whole("".join(value)):
        return line, value
    else:
        key = next(key for key in value if not is_whole(key))
        message = f"the key {quote(key)} holds half a surrogate pair"
        errors.add("invalid-unicode", message, line=line)
    return None


def _record(
    each: Object, used: ColumnsUsed, aside: str | None, errors: Findings, *, lists: bool
) -> Record | None:
    line, value = each
    good = True
    for name in dict.fromkeys((used.text, used.label, aside, used.text_pair)):
        if name is not None and name not in value:
            errors.add("missing-field", f"there is no {quote(name)}", line=line, column=name)
            good = False
    if not good:
        return None
    text, label = value[used.text], value[used.label]
    pair = None if used.text_pair is None else value[used.text_pair]
    beside = None if aside is None else value[aside]
    for name, cell in ((used.text, text), (used.text_pair, pair)):
        if cell is not None and (not isinstance(cell, str) or isinstance(cell, _Literal)):
            message = f"the text is {_kind(cell)}, not a string"
            errors.add("wrong-type", message, line=line, column=name)
            good = False
    for what, name, cell in (("label", used.label, label), ("cell", aside, beside)):
        if isinstance(cell, list | dict) and not (lists and name == used.label and _lists(cell)):
            message = f"the {what} is {_kind(cell)}, not a string or a number"
            hint = "Write JSON strings, numbers or booleans."
            errors.add("wrong-type", message, hint=hint, line=line, column=name)
            good = False
    if not good:
        return None
    return Record(line, text, _written(label), _written(beside), _label_kind(label), pair)


def _lists(cell: list[Any] | dict[str, Any]) -> bool:
    """Return whether a cell is a list of strings."""
    return isinstance(cell, list) and all(
        isinstance(each, str) and not isinstance(each, _Literal) for each in cell
    )


def _written(value: Any) -> str | None:
    """Return how a file writes a string, a number, a boolean or a list; null for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value) if isinstance(value, str) else None


def _kind(value: Any) -> str:
    if isinstance(value, _Literal):
        return f"the number {quote(value)}"
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return names.get(type(value), "null")


def _label_kind(label: Any) -> str | None:
    """Return what of JSON a label is, to warn where kinds are mixed."""
    if isinstance(label, bool):
        return "boolean"
    if isinstance(label, _Literal):
        return "integer" if str(label).lstrip("-").isdecimal() else "decimal"
    return "string" if isinstance(label, str) else None
