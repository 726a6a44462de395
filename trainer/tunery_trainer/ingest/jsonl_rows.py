"""JSON: one object a line, or one array of objects, to cells.

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
from tunery_trainer.ingest.lines import MAX_LINE, Lines, TextFile
from tunery_trainer.ingest.records import Opened, Record, Seen, is_whole, parts_of, take_sample

_ARRAY_PIECE = 2**16  # characters

Object = tuple[int, dict[str, Any]]  # line, decoded object


class _Literal(str):
    """A JSON number, as it is written."""


class _KeyRepeated(Exception):
    """An object has a key twice."""


def open_jsonl(
    file: TextFile, wanted: Columns | None, aside: str | None, errors: Findings
) -> Opened | None:
    """Return the table; null when the first objects lack the columns, which is reported.

    A file that is one array of objects is read like one that has an object on each line.
    """
    array = file.head[file.start :].lstrip().startswith(b"[")
    read = _read_array if array else _read_objects
    sample = take_sample(
        read(file.look(), Findings(), Seen()), SAMPLE_ROWS, lambda each: len(str(each))
    )
    whole = [each[1] for each in sample if each is not None]
    seen = Seen()
    file.rewind()
    objects = read(file.rest(), errors, seen)
    if not whole:
        for _ in objects:
            pass  # every line is broken so far: report the rest of them, too
        return None
    names = list(dict.fromkeys(name for each in whole for name in each))
    few = len(names) <= MAX_COLUMNS  # else it is refused, and the cells would be too many
    cells = [[_shown(each.get(name)) for name in names] for each in whole if few]
    chosen = choose(names, cells, wanted, aside, errors)
    if chosen is None:
        return None
    used = chosen.used
    records = (None if each is None else _record(each, used, aside, errors) for each in objects)
    return Opened(used, parts_of(records), "json" if array else "jsonl", seen=seen)


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
        value = _decode(decoder, body, lines.number, errors)
        yield None if value is None else (lines.number, value)


def _read_array(source: Iterator[str], errors: Findings, seen: Seen) -> Iterator[Object | None]:
    """Yield the objects of an array, each with the line on which it begins."""
    text = _ArrayText(source, seen)
    decoder = _decoder()
    text.skip("[")
    while True:
        sign = text.next_sign()
        if sign == "]" or sign == "":
            break
        line = text.line
        try:
            value = text.decode(decoder)
        except _KeyRepeated as error:
            errors.add("duplicate-key", f"the key {quote(str(error))} stands twice", line=line)
            return
        except RecursionError:
            errors.add("json-too-deep", "the JSON is nested too deeply to be read", line=line)
            return
        except json.JSONDecodeError as error:
            errors.add("malformed-json-line", f"the array is broken here: {error.msg}", line=line)
            return
        if isinstance(value, dict):
            yield line, value
        else:
            message = f"the array holds {_kind(value)}, not an object"
            errors.add("not-an-object", message, line=line)
            yield None
        if text.next_sign() == ",":
            text.skip(",")
    if text.next_sign() != "]":
        errors.add("malformed-json-line", "the array is not closed", line=text.line)


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
            while self._at < len(self._held) and self._held[self._at].isspace():
                self._pass(self._at + 1)
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def skip(self, sign: str) -> None:
        """Go behind a character."""
        if self.next_sign() == sign:
            self._pass(self._at + 1)

    def decode(self, decoder: json.JSONDecoder) -> Any:
        """Return the value that begins here, and go behind it."""
        while True:
            try:
                value, end = decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError:
                if len(self._held) - self._at > MAX_LINE or not self._more():
                    raise
            else:
                self._pass(end)
                return value

    def _pass(self, end: int) -> None:
        self.line += self._held.count("\n", self._at, end)
        self._at = end

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


def _record(each: Object, used: ColumnsUsed, aside: str | None, errors: Findings) -> Record | None:
    line, value = each
    good = True
    for name in (used.text, used.label, aside):
        if name is not None and name not in value:
            errors.add("missing-field", f"there is no {quote(name)}", line=line, column=name)
            good = False
    if not good:
        return None
    text, label = value[used.text], value[used.label]
    kind = _label_kind(label)
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
    if not good:
        return None
    beside = None if aside is None else _shown(value[aside])
    return Record(line, text, None if label is None else str(label), beside, kind)


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


def _label_kind(label: Any) -> str | None:
    """Return what of JSON a label is, to warn where kinds are mixed."""
    if isinstance(label, bool):
        return "boolean"
    if isinstance(label, _Literal):
        return "integer" if str(label).lstrip("-").isdecimal() else "decimal"
    return "string" if isinstance(label, str) else None


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str) else ""
