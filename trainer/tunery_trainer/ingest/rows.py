"""Rows: reads one file into rows that a model can learn from, and reports every one that isn't.

Owns what a cell may be. Knows neither splits nor other files.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunery.types import PARQUET, Columns, ColumnsUsed, Dialect, Policies, encoding_hint
from tunery_trainer.ingest.csv_rows import open_csv
from tunery_trainer.ingest.encodings import refuse_foreign, report_damage, settle_encoding
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.jsonl_rows import open_jsonl
from tunery_trainer.ingest.lines import TextFile
from tunery_trainer.ingest.pairs import joined
from tunery_trainer.ingest.parquet_rows import open_parquet
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.records import MAX_CELL, MAX_ROWS, Opened, Part, refuse_more_rows
from tunery_trainer.ingest.stored_rows import open_stored
from tunery_trainer.ingest.transforms import Transforms
from tunery_trainer.protocol.specs import SourceFile
from tunery_trainer.tasks import Task
from tunery_trainer.tasks.cells import CellUnusable

Newline = Literal["lf", "crlf", "cr", "mixed"]

_MARKS = 500  # combining, in a row: no script has as many, and composing takes their square
_NO_LABELS = frozenset({"nan", "null", "na", "n/a", "#n/a"})  # what programs write for nothing
_MISSING = CellUnusable("null-label", "the label is missing")
_NEWLINES: dict[str, Newline] = {"\n": "lf", "\r\n": "crlf", "\r": "cr"}
_CSV_TYPES = {"text/csv": None, "text/tab-separated-values": "\t"}
_NO_ROWS = {"json": "the array is empty", "jsonl": "the file has only blank lines"}
_JSON_TYPES = ("application/x-ndjson", "application/json")


@dataclass
class FileRows:
    """What one file turned out to be."""

    encoding: str
    read: int = 0
    blank_lines: int = 0
    columns: ColumnsUsed | None = None
    dialect: Dialect | None = None


class FileReader:
    """Reads one file: `parts` yields its usable rows, `content` says at the end what it was."""

    def __init__(
        self,
        source: SourceFile,
        task: Task,
        wanted: Columns | None,
        aside: str | None,
        policies: Policies,
        transforms: Transforms,
        pulse: Pulse,
        scratch: Path,
        *,
        stored: bool,
    ) -> None:
        self._source = source
        self._task = task
        self._wanted = wanted
        self._aside = aside
        self._policies = policies
        self._transforms = transforms
        self._pulse = pulse
        self._stored = stored  # the file is a split of an earlier version
        self._scratch = scratch
        self.content = FileRows(encoding="binary")
        self.found = Notes(scratch)
        self.garbled = False  # what was read is not what somebody wrote

    def parts(self) -> Iterator[pa.Table]:
        """Yield the usable rows, pairs joined; shapes: tables of records.SCHEMA."""
        path = Path(self._source.path)
        errors = self.found.errors
        if self._stored:
            stored = open_stored(path)
            yield from self._judged(stored)
            self.content.columns = stored.columns
        elif path.stat().st_size == 0:
            errors.add("empty-file", "the file has no bytes")
        elif self._media_type() == PARQUET:
            opened = open_parquet(path, self._wanted, self._aside, errors, self._beat)
            if opened is not None:
                yield from self._judged(opened)
                self._describe(opened)
        else:
            yield from self._of_text(path)

    def _of_text(self, path: Path) -> Iterator[pa.Table]:
        errors = self.found.errors
        named = self._policies.encoding
        encoding = settle_encoding(path, named, self._beat)
        if encoding is None:
            message = f"{quote(named)} is no text encoding that is read"
            errors.add("unsupported-format", message, hint=encoding_hint(named))
            return
        file = TextFile(path, errors, encoding, self._beat)
        self.content.encoding = file.encoding
        if refuse_foreign(file, errors):
            return
        opened = self._open(file)
        if opened is not None:
            yield from self._judged(opened)
        else:
            for _ in file.rest():
                pass  # only to find the lines that can't be decoded
        self._settle(file, opened)

    def _open(self, file: TextFile) -> Opened | None:
        media_type = self._media_type()
        if media_type in _CSV_TYPES:
            return open_csv(
                file, self._wanted, self._aside, self.found.errors, delimiter=_CSV_TYPES[media_type]
            )
        if media_type in _JSON_TYPES:
            lists = self._task.name == "multi_label"
            return open_jsonl(file, self._wanted, self._aside, self.found.errors, lists=lists)
        kind = quote(self._source.media_type)
        self.found.errors.add("unsupported-format", f"{kind} is not read as a dataset")
        return None

    def _media_type(self) -> str:
        return self._source.media_type.partition(";")[0].strip().lower()

    def _beat(self) -> None:
        self._pulse.beat("reading", self.content.read)

    def _judged(self, opened: Opened) -> Iterator[pa.Table]:
        judge = _Judge(opened.columns, self._task, self._policies, self.found)
        for part in opened.parts:
            self._beat()
            self.content.read += part.rows.num_rows + part.broken
            if self.content.read > MAX_ROWS:
                refuse_more_rows(self.found.errors)
                break
            rows = self._transforms.apply(part.rows, self._source.split)
            yield joined(judge.usable(part._replace(rows=rows)))
        judge.close()

    def _settle(self, file: TextFile, opened: Opened | None) -> None:
        """Say what only the end of the file shows: its encoding, newlines, that it has no rows."""
        found = self.found
        damage = Findings(self._scratch / "damage.ndjson")
        unread = opened is None or opened.columns is None
        header = unread and bool(file.damage) and file.damage[0].line == 1
        if report_damage(file, damage, header=header):
            self.garbled = True  # nothing else that was found in it is true
            found.errors.clear()
            found.warnings.clear()
        found.errors.take(damage)
        if opened is None:
            if not found.errors.total:
                found.errors.add("no-rows", "the file has only blank lines")
            return
        self._describe(opened)

    def _describe(self, opened: Opened) -> None:
        newlines = {_NEWLINES[end] for end in opened.seen.newlines if end}
        self.content.columns = opened.columns
        self.content.blank_lines = opened.seen.blank_lines
        self.content.dialect = Dialect(
            format=opened.format,
            delimiter=opened.delimiter,
            newline=newlines.pop() if len(newlines) == 1 else "mixed" if newlines else "lf",
            header=opened.header,
            inferred=True,
        )
        if not self.content.read and not self.found.errors.total:
            message = _NO_ROWS.get(opened.format, "there is nothing below the header")
            self.found.errors.add("no-rows", message)


class _Judge:
    """Decides which rows are usable; remembers what is said once for all rows."""

    def __init__(
        self, columns: ColumnsUsed | None, task: Task, policies: Policies, found: Notes
    ) -> None:
        self._task = task
        self._separator = None if columns is None else columns.label_separator
        self._text = None if columns is None else columns.text
        self._pair = None if columns is None else columns.text_pair
        self._label = None if columns is None else columns.label
        self._drops_empty = policies.empty == "drop"
        self._found = found
        self._labels: dict[str, str | CellUnusable] = {}  # as they are stored, by cell
        self._labels_for_nothing: list[str] = []
        self._kinds: dict[str, tuple[int, int]] = {}  # rows and first line, by kind of JSON
        self._nothings: dict[str, tuple[int, int]] = {}  # rows and first line, by label
        self._dropped = (0, 0)  # rows without a text, and the first one's line

    def usable(self, part: Part) -> pa.Table:
        """Return the usable rows of a part; the others are reported."""
        rows = part.rows
        if not rows.num_rows:
            return rows
        labels = self._read_labels(rows.column("label").combine_chunks())
        good = pc.and_(_good_texts(rows.column("text")), pc.is_valid(labels))
        if self._pair is not None:
            good = pc.and_(good, _good_texts(rows.column("text_pair")))
        stored = rows.set_column(rows.column_names.index("label"), "label", labels)
        if not pc.all(good).as_py():
            stored = stored.filter(good)
            for row in rows.filter(pc.invert(good)).to_pylist():
                texts = [(row["text"], self._text)]
                if self._pair is not None:
                    texts.append((row["text_pair"], self._pair))
                self._report(row["line"], texts, row["label"])
        self._count_kinds(stored)
        return stored

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
                "null-label", message, hint=hint, line=line, column=self._label
            )
        if len(self._kinds) > 1 and self._task.has_labels:
            kinds = ", ".join(
                f"{kind} ({counted(rows, 'row')}, first on line {line:,})"
                for kind, (rows, line) in sorted(self._kinds.items())
            )
            self._found.warnings.add(
                "mixed-label-type",
                f"the labels are of several types: {kinds}",
                line=min(line for _, line in self._kinds.values()),
                column=self._label,
            )

    def _read_labels(self, label: pa.Array) -> pa.Array:
        """Return the labels as they are stored, null for what can't be one."""
        encoded = label.dictionary_encode()
        cells: list[str] = encoded.dictionary.to_pylist()
        for cell in cells:
            if cell not in self._labels:
                self._labels[cell] = self._read_label(cell)
        read = [self._labels[cell] for cell in cells]
        stored = [None if isinstance(each, CellUnusable) else each for each in read]
        return pa.array(stored, pa.string()).take(encoded.indices)

    def _read_label(self, cell: str) -> str | CellUnusable:
        if not cell.strip() and self._separator is None:
            return _MISSING
        try:
            stored = self._task.read(cell, self._separator)
        except CellUnusable as fault:
            return fault
        if cell.casefold() in _NO_LABELS:
            self._labels_for_nothing.append(stored)
        return stored

    def _count_kinds(self, rows: pa.Table) -> None:
        """Count labels that stand for nothing, and of what kinds of JSON the labels are."""
        if self._labels_for_nothing:
            at = pc.is_in(rows.column("label"), pa.array(self._labels_for_nothing, pa.string()))
            found = rows.filter(at)
            _tally(self._nothings, found.column("label").to_pylist(), found.column("line"))
        kinds = rows.column("kind")
        if kinds.null_count < len(kinds):
            _tally(self._kinds, kinds.to_pylist(), rows.column("line"))

    def _report(
        self, line: int, texts: list[tuple[str | None, str | None]], label: str | None
    ) -> None:
        """Report what is wrong with a row; `texts` are its cells with their columns."""
        empty = any(text is None or not text.strip() for text, _ in texts)
        if empty and self._drops_empty:
            rows, first = self._dropped
            self._dropped = rows + 1, first or line
            self._found.dropped.add("empty-text", "left out", line=line)
            return
        for text, column in texts:
            if text is None or not text.strip():
                found = "the text is nothing but space" if text else "the text is empty"
                self._error("empty-text", found, line, column)
            else:
                self._report_text(text, line, column)
        fault = self._labels[label] if label is not None else _MISSING
        if isinstance(fault, CellUnusable):
            self._error(fault.code, str(fault), line, self._label, hint=fault.hint)

    def _report_text(self, cell: str, line: int, column: str | None) -> None:
        if len(cell) > MAX_CELL:
            message = f"the cell has {len(cell):,} characters; at most {MAX_CELL:,} are read"
            self._error("cell-too-large", message, line, column)
        elif "\0" in cell:
            place = cell.index("\0") + 1
            message = f"character {place:,} of the cell is NUL: {quote(cell)}"
            self._error("nul-byte", message, line, column)
        elif (start := _marks_at(cell)) is not None:
            message = f"from character {start + 1:,} on the cell has {_MARKS:,} combining marks"
            self._error("invalid-unicode", message, line, column, hint="Remove them.")

    def _error(
        self, code: str, message: str, line: int, column: str | None, hint: str | None = None
    ) -> None:
        self._found.errors.add(code, message, hint=hint, line=line, column=column)


def _good_texts(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    sizes = pc.binary_length(pc.utf8_trim_whitespace(texts))
    good = pc.fill_null(pc.greater(sizes, 0), fill_value=False)
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest > MAX_CELL:
        good = pc.and_(good, pc.less_equal(pc.utf8_length(texts), MAX_CELL))
    if longest > _MARKS:
        good = pc.and_(good, _can_be_composed(texts))
    good = pc.and_(good, pc.invert(pc.match_substring(texts, "\0")))
    return pc.fill_null(good, fill_value=False)


def _tally(counts: dict[str, tuple[int, int]], names: list[str], lines: pa.ChunkedArray) -> None:
    """Add to the rows of each name, of which the first line stays."""
    rows = Counter(names)
    for name, count in rows.items():
        before, first = counts.get(name, (0, 0))
        counts[name] = before + count, first or lines[names.index(name)].as_py()


def _can_be_composed(texts: pa.ChunkedArray) -> pa.Array:
    """Return which texts may be brought into a normal form without taking hours."""
    good = np.ones(len(texts), bool)
    long = pc.and_(
        pc.greater(pc.binary_length(texts), _MARKS), pc.invert(pc.string_is_ascii(texts))
    )
    for i in np.flatnonzero(pc.fill_null(long, fill_value=False)):
        good[i] = _marks_at(texts[int(i)].as_py()) is None
    return pa.array(good)


def _marks_at(text: str) -> int | None:
    """Return where a run of combining marks is; one of twice _MARKS is never overlooked."""
    for start in range(0, len(text) - _MARKS + 1, _MARKS):
        if all(map(unicodedata.combining, text[start : start + _MARKS])):
            return start
    return None
