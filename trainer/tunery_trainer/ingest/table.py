"""The table: all rows of one ingest, in columns; their texts lie on the disk.

What the checks compare is a few numbers for each row, held in arrays. A text is read again only to
be shown or written, so that memory grows by some forty bytes a row, whatever the texts are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tunery.types import SPLITS, RowGroup, Split
from tunery_trainer.ingest.findings import Findings
from tunery_trainer.ingest.pairs import parted, told
from tunery_trainer.tasks import Task

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

NOWHERE = -1  # the split of a row that has none yet
_BATCH_ROWS = 8192
_SHOWN_LINES = 20
_SHOWN_TEXT = 200  # characters


class Spool:
    """Texts on the disk, batch by batch, in the order in which they came."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = pa.schema([("text", pa.string())])
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._ends: list[int] = []
        self._reader: Any = None
        self._held: tuple[int, Any] = -1, None

    def append(self, texts: pa.Array) -> None:
        """Write texts behind those that are there."""
        for start in range(0, len(texts), _BATCH_ROWS):
            part = texts.slice(start, _BATCH_ROWS)
            self._writer.write_batch(pa.record_batch([part], schema=self._schema))
            self._ends.append((self._ends[-1] if self._ends else 0) + len(part))

    def close(self) -> None:
        """End the writing; from here on it is read."""
        self._writer.close()
        # Not mapped: pages that were looked at would count as the child's memory.
        self._reader = pa.ipc.open_file(pa.OSFile(str(self._path)))

    def batches(self) -> Iterator[tuple[int, pa.Array]]:
        """Yield all texts again, each batch with the number of its first row."""
        for i, end in enumerate(self._ends):
            texts = self._batch(i)
            yield end - len(texts), texts

    def texts(self, rows: Sequence[int] | Ints) -> list[str]:
        """Return the texts of rows; cheap where the rows are sorted."""
        ends = np.asarray(self._ends)
        found: list[str] = []
        for row in map(int, rows):
            i = int(np.searchsorted(ends, row, side="right"))
            batch = self._batch(i)
            found.append(batch[row - int(ends[i]) + len(batch)].as_py())
        return found

    def _batch(self, i: int) -> pa.Array:
        if self._held[0] != i:
            self._held = i, self._reader.get_batch(i).column(0)
        return self._held[1]


class Table:
    """The columns, when all rows are there.

    Rows of the parent version stand behind the file's own, to be compared with; they are not kept.

    Shapes: every array (rows,). `labels` are places in `names`, the distinct label cells; the
    labels in these stand in `label_names`. `splits` are places in SPLITS, or NOWHERE. `keys` are
    equal where texts are the same but for case and signs, `hashes` where they are the same.
    `groups` and `times`, of the file's own rows, where the spec names such a column.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        task: Task,
        names: list[str],
        own: int,
        lines: Ints,
        labels: Ints,
        splits: npt.NDArray[np.int8],
        keys: Hashes,
        hashes: Hashes,
        groups: Ints | None,
        times: npt.NDArray[np.float64] | None,
    ) -> None:
        self.spool = spool
        self.task = task
        self.name_cells(names)
        self.own = own  # rows of the file
        self.lines = lines
        self.labels = labels
        self.splits = splits
        self.keys = keys
        self.hashes = hashes
        self.groups = groups
        self.times = times
        self.kept: Mask = np.arange(len(lines)) < own

    def rows(self, split: Split | None = None) -> Ints:
        """Return the numbers of the kept rows, of all or of one split."""
        if split is None:
            return np.flatnonzero(self.kept)
        return np.flatnonzero(self.kept & (self.splits == SPLITS.index(split)))

    def name_cells(self, names: list[str]) -> None:
        """Say what the distinct label cells are; each has a label at least, of no name if need be.

        `unnamed` is the place of the label that stands for none.
        """
        sets = [self.task.labels_of(name) for name in names]
        places: dict[str, int] = {}
        members = [[places.setdefault(each, len(places)) for each in found] for found in sets]
        self.names, self.label_names, self.unnamed = names, list(places), len(places)
        members = [found or [self.unnamed] for found in members]
        self._sizes = np.array([len(found) for found in members], np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._members = np.array([each for found in members for each in found], np.int64)

    def of_labels(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return every label of every row: places in `rows`, and places in `label_names`."""
        cells = self.labels[rows]
        sizes = self._sizes[cells]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(self._starts[cells], sizes) + within
        return np.repeat(np.arange(len(rows)), sizes), self._members[at]

    def strata(self, rows: Ints) -> Ints:
        """Return the label of each row by which it is shared out: the rarest, or the unnamed one.

        Source: Sechidis et al. 2011, "On the Stratification of Multi-label Data", whose first step
        it is.
        """
        owners, labels = self.of_labels(rows)
        counts = np.bincount(self.of_labels(self.rows())[1], minlength=self.unnamed + 1)
        order = np.lexsort((labels, counts[labels], owners))
        _, first = np.unique(owners[order], return_index=True)
        return labels[order][first]

    def counts(self, rows: Ints) -> dict[str, int]:
        """Return how many of these rows each label has, sorted by label."""
        counts = np.bincount(self.of_labels(rows)[1], minlength=self.unnamed + 1)
        named = sorted(range(self.unnamed), key=self.label_names.__getitem__)
        return {self.label_names[i]: int(counts[i]) for i in named if counts[i]}

    def split_of(self, row: int) -> Split | None:
        """Return a row's split, if it has one."""
        place = int(self.splits[row])
        return None if place == NOWHERE else SPLITS[place]

    def leave_out(self, rows: Ints, code: str, dropped: Findings) -> None:
        """Keep these rows no longer, and list them."""
        self.kept[rows] = False
        for row in rows:
            dropped.add(code, "left out", line=int(self.lines[row]), split=self.split_of(row))

    def text(self, row: int) -> str:
        """Return a row's text, or its pair, as a message may show it."""
        return told(self.spool.texts([row])[0])

    def group(self, rows: Sequence[int] | Ints) -> RowGroup:
        """Return rows of one text as the report shows them."""
        text, pair = parted(self.spool.texts([int(rows[0])])[0])
        return RowGroup(
            text=text[:_SHOWN_TEXT],
            text_pair=None if pair is None else pair[:_SHOWN_TEXT],
            lines=[int(self.lines[row]) for row in rows[:_SHOWN_LINES]],
            labels=sorted({self.names[self.labels[row]] for row in rows}),
        )


def runs_of(values: npt.NDArray[Any], rows: Ints) -> tuple[Ints, Ints, Ints]:
    """Return rows sorted so that equal values stand together, and where each run of them lies.

    Shapes: values (rows,) of these rows; returns the sorted rows, starts and ends (runs,). Within a
    run the rows stay in order.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: len(ordered)]
    return rows[order], starts, np.append(starts[1:], len(ordered))
