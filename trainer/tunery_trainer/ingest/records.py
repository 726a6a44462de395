"""Records: what a format's reader hands on, whatever the format was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tunery.types import ColumnsUsed

MAX_CELL = 1_000_000  # characters
_SAMPLE_SIZE = 4 * 2**20  # characters

Item = TypeVar("Item")


class Record(NamedTuple):
    """The two cells of a row, unjudged; null where JSON has null."""

    line: int
    text: str | None
    label: str | None


@dataclass
class Table:
    """An opened file: `records` gives null for a row that is already reported as broken."""

    columns: ColumnsUsed
    records: Iterator[Record | None]
    delimiter: str | None = None
    newlines: set[str] = field(default_factory=set)  # that ended rows, filled as they are read


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
