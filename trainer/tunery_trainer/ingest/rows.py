"""Rows: reads one file into rows that a model can learn from, and reports every one that isn't.

Owns what a cell may be. Knows neither splits nor other files.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from tunery.types import Columns, ColumnsUsed, Dialect, Policies, Split
from tunery_trainer.ingest.csv_rows import open_csv
from tunery_trainer.ingest.encodings import refuse_foreign, report_damage
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.jsonl_rows import open_jsonl
from tunery_trainer.ingest.lines import Lines, TextFile
from tunery_trainer.ingest.normalise import TextKeys
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.records import MAX_CELL, Record, Table
from tunery_trainer.protocol.specs import SourceFile

Newline = Literal["lf", "crlf", "cr", "mixed"]

_MAX_LABEL = 256  # characters
_NO_LABELS = frozenset({"nan", "null", "na", "n/a", "#n/a"})  # what programs write for nothing
_NEWLINES: dict[str, Newline] = {"\n": "lf", "\r\n": "crlf", "\r": "cr"}
_CSV_TYPES = {"text/csv": None, "text/tab-separated-values": "\t"}
_JSONL_TYPE = "application/x-ndjson"


class Row(msgspec.Struct, frozen=True, gc=False):
    """One usable row; rows with the same key have the same text but for case and signs."""

    line: int
    text: str
    label: str
    key: bytes


Parts = dict[Split | None, list[Row]]  # by split file; under null where one file holds all rows


@dataclass
class FileRows:
    """What one file held: the usable rows, and how many were read for them."""

    encoding: str
    read: int = 0
    rows: list[Row] = field(default_factory=list)
    columns: ColumnsUsed | None = None
    dialect: Dialect | None = None


def read_file(
    source: SourceFile,
    wanted: Columns | None,
    policies: Policies,
    keys: TextKeys,
    notes: Notes,
    pulse: Pulse,
) -> FileRows:
    """Return the rows of a file; whatever is wrong with it is in the notes."""
    found = Notes()
    file = TextFile(Path(source.path), found.errors)
    content = FileRows(encoding=file.encoding)
    if not file.head:
        found.errors.add("empty-file", "the file has no bytes")
    elif not refuse_foreign(file, found.errors):
        lines = Lines(iter(file))
        table = _open(source, lines, wanted, found.errors)
        if table is not None:
            _read_rows(table, content, policies, keys, found, pulse)
        elif file.damage:
            for _ in pulse.over("reading", lines):
                pass  # only to count the lines that are not UTF-8
        _settle(file, table, content, found)
    for kept, new in ((notes.errors, found.errors), (notes.warnings, found.warnings)):
        kept.take(new, split=source.split)
    return content


def _open(
    source: SourceFile, lines: Lines, wanted: Columns | None, errors: Findings
) -> Table | None:
    media_type = source.media_type.partition(";")[0].strip().lower()
    if media_type in _CSV_TYPES:
        return open_csv(lines, wanted, errors, delimiter=_CSV_TYPES[media_type])
    if media_type == _JSONL_TYPE:
        return open_jsonl(lines, wanted, errors)
    errors.add("unsupported-format", f"{quote(source.media_type)} is not read as a dataset")
    return None


def _settle(file: TextFile, table: Table | None, content: FileRows, found: Notes) -> None:
    """Say what only the end of the file shows: its encoding, its newlines, that it has no rows."""
    encoding_errors = Findings()
    header = table is None and bool(file.damage) and file.damage[0].line == 1
    if report_damage(file, encoding_errors, header=header):
        content.rows.clear()  # nothing else that was found in garbled text is true
        found.errors.clear()
        found.warnings.clear()
    found.errors.take(encoding_errors)
    if table is None:
        if not found.errors.total:
            found.errors.add("no-rows", "the file has only blank lines")
        return
    newlines = {_NEWLINES[end] for end in table.newlines if end}
    content.columns = table.columns
    content.dialect = Dialect(
        format="jsonl" if table.delimiter is None else "csv",
        delimiter=table.delimiter,
        newline=newlines.pop() if len(newlines) == 1 else "mixed" if newlines else "lf",
        inferred=True,
    )
    if not content.read and not found.errors.total:
        found.errors.add("no-rows", "there is nothing below the header")


def _read_rows(
    table: Table,
    content: FileRows,
    policies: Policies,
    keys: TextKeys,
    found: Notes,
    pulse: Pulse,
) -> None:
    judge = _Judge(table.columns, policies, keys, found)
    for record in pulse.over("reading", table.records):
        content.read += 1
        if record is not None and (row := judge.row(record)) is not None:
            content.rows.append(row)
    judge.close()


class _Judge:
    """Decides row by row; remembers what is said once for all rows."""

    def __init__(
        self, columns: ColumnsUsed, policies: Policies, keys: TextKeys, found: Notes
    ) -> None:
        self._columns = columns
        self._drops_empty = policies.empty == "drop"
        self._keys = keys
        self._found = found
        self._labels: dict[str, bool] = {}  # whether a label is usable, by label
        self._nothings: dict[str, tuple[int, int]] = {}  # rows and first line, by label
        self._dropped = (0, 0)  # rows without a text, and the first one's line

    def row(self, record: Record) -> Row | None:
        """Return the row, or report why it is none."""
        line, text, label = record
        if text is None or not text.strip():
            if self._drops_empty:
                rows, first = self._dropped
                self._dropped = rows + 1, first or line
                return None
            found = "the text is empty" if not text else "the text is nothing but space"
            self._error("empty-text", found, line, self._columns.text)
            text = None
        elif not self._is_cell(text, line, self._columns.text):
            text = None
        if not self._is_label(label, line) or text is None or label is None:
            return None
        try:
            key = self._keys.key(text)
        except UnicodeEncodeError:
            return None  # escaped bytes, which are reported with the file
        if label.casefold() in _NO_LABELS:
            rows, first = self._nothings.get(label, (0, line))
            self._nothings[label] = rows + 1, first
        return Row(line, text, label, key)

    def close(self) -> None:
        """Report what has been counted."""
        rows, line = self._dropped
        if rows:
            message = f"{counted(rows, 'row')} without a text left out"
            hint = "policies.empty is drop; with reject they would be errors."
            self._found.warnings.add("empty-text", message, hint=hint, line=line)
        for label, (rows, line) in self._nothings.items():
            message = f"{counted(rows, 'row')} with the label {quote(label)}, kept as a class"
            hint = "If it stands for a missing label, fill it in or remove these rows."
            self._found.warnings.add(
                "null-label", message, hint=hint, line=line, column=self._columns.label
            )

    def _is_label(self, label: str | None, line: int) -> bool:
        column = self._columns.label
        if label is None or not label.strip():
            self._error("null-label", "the label is missing", line, column)
            return False
        if not self._is_cell(label, line, column):
            return False
        if label not in self._labels:
            self._labels[label] = _is_usable(label)
        if not self._labels[label]:
            size = f" of {len(label):,} characters" if len(label) > _MAX_LABEL else ""
            message = f"the label {quote(label)}{size} can't be one"
            self._error("invalid-label", message, line, column)
        return self._labels[label]

    def _is_cell(self, cell: str, line: int, column: str) -> bool:
        if len(cell) > MAX_CELL:
            message = f"the cell has {len(cell):,} characters; at most {MAX_CELL:,} are read"
            self._error("cell-too-large", message, line, column)
            return False
        if "\0" in cell:
            place = cell.index("\0") + 1
            message = f"character {place:,} of the cell is NUL: {quote(cell)}"
            self._error("nul-byte", message, line, column)
            return False
        return True

    def _error(self, code: str, message: str, line: int, column: str) -> None:
        self._found.errors.add(code, message, line=line, column=column)


def _is_usable(label: str) -> bool:
    # A tab is let through: spreadsheets put it before what they would take for a formula.
    return len(label) <= _MAX_LABEL and not any(
        unicodedata.category(character) in ("Cc", "Cs") and character != "\t" for character in label
    )
