"""Records: what a format's reader hands on, whatever the format was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tunery.types import ColumnsUsed
from tunery_trainer.ingest.findings import Findings

MAX_ROWS = 10_000_000
MAX_CELL = 1_000_000  # characters
_SAMPLE_SIZE = 4 * 2**20  # characters
PART_BYTES = 4 * 2**20  # of a part, give or take a row: checks hold a part several times over
_PART_ROWS = 8192

SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("aside", pa.string()),  # the column that says group, time or split, where there is one
        ("kind", pa.string()),  # what of JSON the label is; null where the file is none
        ("text_pair", pa.string()),  # null where rows are single texts
    ]
)

Format = Literal["csv", "jsonl", "json", "parquet"]
Item = TypeVar("Item")


class Record(NamedTuple):
    """The cells of a row, unjudged; null where JSON has null."""

    line: int
    text: str | None
    label: str | None
    aside: str | None = None
    kind: str | None = None
    text_pair: str | None = None


class Part(NamedTuple):
    """Some rows of a file, and how many others among them are already reported as broken."""

    rows: pa.Table  # of SCHEMA
    broken: int = 0


@dataclass
class Seen:
    """What is noticed on the way through a file."""

    newlines: set[str] = field(default_factory=set)  # that ended rows
    blank_lines: int = 0


@dataclass
class Opened:
    """A file and its rows; without columns where all that could name them is broken."""

    columns: ColumnsUsed | None
    parts: Iterator[Part]
    format: Format
    delimiter: str | None = None
    header: bool = True
    seen: Seen = field(default_factory=Seen)  # filled as the parts are read


def parts_of(
    records: Iterable[Record | None], report_half: Callable[[Record], None] = lambda _: None
) -> Iterator[Part]:
    """Gather records to parts; null stands for a row that is already reported.

    A record with half a character is broken, too; `report_half` is to say so where nobody has.
    """
    rows: list[Record] = []
    broken = size = 0
    for record in records:
        if record is None:
            broken += 1
        else:
            rows.append(record)
            size += sum(len(cell or "") for cell in _cells(record))
        if len(rows) + broken >= _PART_ROWS or size >= PART_BYTES:
            yield _part(rows, broken, report_half)
            rows, broken, size = [], 0, 0
    yield _part(rows, broken, report_half)


def parts_of_batches(batches: Iterable[Sequence[pa.Array]], names: Sequence[str]) -> Iterator[Part]:
    """Cut columns to parts that stay small when written out; `names` says which of SCHEMA they are.

    Raises:
        pa.ArrowInvalid: a cell is not UTF-8.
    """
    for cells in batches:
        ends = np.cumsum(sum(map(sizes_bytes, cells)))
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + PART_BYTES, side="right")))
            yield Part(_written_out([cell.slice(start, end - start) for cell in cells], names))
            start = end


def sizes_bytes(cells: pa.Array) -> npt.NDArray[np.int64]:
    """Return how many bytes each cell takes when it is written out."""
    if pa.types.is_dictionary(cells.type):
        places = pc.fill_null(cells.indices, -1).to_numpy(zero_copy_only=False)
        return np.append(sizes_bytes(cells.dictionary), np.int64(0))[np.asarray(places, np.int64)]
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        sizes = pc.fill_null(pc.binary_length(cells), 0).to_numpy(zero_copy_only=False)
        return np.asarray(sizes, np.int64)
    return np.full(len(cells), 8, np.int64)


def refuse_more_rows(errors: Findings) -> None:
    """Report that a file has too many rows."""
    errors.add("dataset-too-large", f"there are more than {MAX_ROWS:,} rows")


def is_whole(text: str | None) -> bool:
    """Return whether a string has no lone surrogates, neither escaped bytes nor JSON's own."""
    if text is None or text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def take_sample(items: Iterator[Item], most: int, size: Callable[[Item], int]) -> list[Item]:
    """Return the first items: as many as asked for, or fewer where they are large."""
    sample: list[Item] = []
    total = 0
    while len(sample) < most and total < _SAMPLE_SIZE:
        try:
            sample.append(next(items))
        except StopIteration:
            break
        total += size(sample[-1])
    return sample


def _cells(record: Record) -> tuple[str | None, ...]:
    return record.text, record.label, record.aside, record.text_pair


def _part(rows: Sequence[Record], broken: int, report_half: Callable[[Record], None]) -> Part:
    try:
        return Part(_table(rows), broken)
    except UnicodeEncodeError:
        whole: list[Record] = []
        for row in rows:
            if all(map(is_whole, _cells(row))):
                whole.append(row)
            else:
                report_half(row)
        return Part(_table(whole), broken + len(rows) - len(whole))


def _table(rows: Sequence[Record]) -> pa.Table:
    columns: list[tuple[object, ...]] = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [
        pa.array(list(column), type=each.type) for column, each in zip(columns, SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=SCHEMA)


def _written_out(cells: Sequence[pa.Array], names: Sequence[str]) -> pa.Table:
    found = dict(zip(names, cells, strict=True))
    rows = len(cells[0])
    columns = [
        pc.cast(found[each.name], each.type) if each.name in found else pa.nulls(rows, each.type)
        for each in SCHEMA
    ]
    table = pa.table(columns, schema=SCHEMA)
    table.validate(full=True)
    return table
