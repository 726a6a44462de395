"""Records: what a format's reader hands on, whatever the format was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

import pyarrow as pa

from tunery.types import ColumnsUsed

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
    """A file whose columns are known, and the rest of it."""

    columns: ColumnsUsed
    parts: Iterator[Part]
    format: Format
    delimiter: str | None = None
    header: bool = True
    seen: Seen = field(default_factory=Seen)  # filled as the parts are read


def parts_of(records: Iterable[Record | None]) -> Iterator[Part]:
    """Gather records to parts; null stands for a row that is already reported."""
    rows: list[Record] = []
    broken = size = 0
    for record in records:
        if record is None:
            broken += 1
        else:
            rows.append(record)
            size += len(record.text or "")
        if len(rows) + broken >= _PART_ROWS or size >= PART_BYTES:
            yield Part(_table(rows), broken)
            rows, broken, size = [], 0, 0
    yield Part(_table(rows), broken)


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


def _table(rows: Sequence[Record]) -> pa.Table:
    columns: list[tuple[object, ...]] = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [
        pa.array(list(column), type=each.type) for column, each in zip(columns, SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=SCHEMA)
