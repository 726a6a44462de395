"""Gathering: the rows of all files, and of the parent version, become one table."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tunery.types import SPLITS, Split
from tunery_trainer.ingest.findings import Findings, quote
from tunery_trainer.ingest.near import Sketches
from tunery_trainer.ingest.normalise import Normaliser, hashes
from tunery_trainer.ingest.table import NOWHERE, Spool, Table
from tunery_trainer.tasks import Task

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Gatherer:
    """Takes rows part by part; what is compared later is worked out while they are at hand."""

    def __init__(
        self, directory: Path, seed: int, *, task: Task, aside: str | None, sketch: bool
    ) -> None:
        self._task = task
        self._spool = Spool(directory / "texts.arrow")
        self._seed = seed
        self._aside = aside  # group_by, time_column or column
        self._sketches = Sketches(directory) if sketch else None
        self.normaliser = Normaliser()
        self._names: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._time_kind: str | None = None  # of the first row; the others have the same
        self._parts: dict[str, list[npt.NDArray[Any]]] = {}
        self.count = 0

    def add(
        self, rows: pa.Table, split: Split | None, errors: Findings, column: str | None
    ) -> None:
        """Add usable rows of a file; shapes: a table of records.SCHEMA."""
        if not rows.num_rows:
            return
        splits = np.full(rows.num_rows, NOWHERE if split is None else SPLITS.index(split), np.int8)
        cells = pc.fill_null(rows.column("aside"), "").to_pylist() if self._aside else []
        if self._aside == "group_by":
            self._parts.setdefault("groups", []).append(self._groups_of(cells))
        elif self._aside == "time_column":
            lines = rows.column("line").to_pylist()
            times = self._times_of(cells, lines, errors, column)
            self._parts.setdefault("times", []).append(times)
        elif self._aside == "column":
            lines = rows.column("line").to_pylist()
            splits = _splits_of(cells, lines, errors, column)
        self._append(rows.column("line"), rows.column("text"), rows.column("label"), splits)
        self.count += rows.num_rows

    def add_parent(self, rows: pa.Table, split: Split) -> None:
        """Add rows of the parent version, which are only compared with; after all of the file."""
        if rows.num_rows:
            splits = np.full(rows.num_rows, SPLITS.index(split), np.int8)
            self._append(rows.column("line"), rows.column("text"), rows.column("label"), splits)

    def table(self) -> tuple[Table, Sketches | None]:
        """Return what was gathered."""
        self._spool.close()
        joined = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        empty = np.empty(0, np.int64)
        table = Table(
            spool=self._spool,
            task=self._task,
            names=list(self._names),
            own=self.count,
            lines=joined.get("lines", empty),
            labels=joined.get("labels", empty),
            splits=joined.get("splits", empty.astype(np.int8)),
            keys=joined.get("keys", empty.astype(np.uint64)),
            hashes=joined.get("hashes", empty.astype(np.uint64)),
            groups=joined.get("groups"),
            times=joined.get("times"),
        )
        return table, self._sketches

    def _append(
        self,
        lines: pa.ChunkedArray,
        texts: pa.ChunkedArray,
        labels: pa.ChunkedArray,
        splits: npt.NDArray[np.int8],
    ) -> None:
        plain = texts.combine_chunks()
        self._spool.append(plain)
        raw = pc.cast(plain, pa.binary()).to_pylist()
        folded = self.normaliser.fold_all(raw)
        if self._sketches is not None:
            self._sketches.add(folded)
        encoded = labels.combine_chunks().dictionary_encode()
        known = [
            self._names.setdefault(name, len(self._names))
            for name in encoded.dictionary.to_pylist()
        ]
        part = {
            "lines": lines.to_numpy(),
            "labels": np.asarray(known, np.int64)[encoded.indices.to_numpy()],
            "splits": splits,
            "keys": hashes(folded, self._seed),
            "hashes": hashes(raw),
        }
        for name, values in part.items():
            self._parts.setdefault(name, []).append(values)

    def _groups_of(self, cells: list[str]) -> npt.NDArray[np.int64]:
        """Return the group of each cell; an empty one is a group of its own."""
        return np.asarray(
            [
                self._groups.setdefault(cell, len(self._groups)) if cell else -1 - self.count - i
                for i, cell in enumerate(cells)
            ],
            np.int64,
        )

    def _times_of(
        self, cells: list[str], lines: list[int], errors: Findings, column: str | None
    ) -> npt.NDArray[np.float64]:
        times = np.zeros(len(cells))
        for i, (line, cell) in enumerate(zip(lines, cells, strict=True)):
            found = _time(cell)
            if found is None:
                errors.add("invalid-time", f"{quote(cell)} is no time", line=line, column=column)
                continue
            kind, times[i] = found
            self._time_kind = self._time_kind or kind
            if kind != self._time_kind:
                message = f"{quote(cell)} is a {kind}, where the first row has a {self._time_kind}"
                errors.add("invalid-time", message, line=line, column=column)
        return times


def _splits_of(
    cells: list[str], lines: list[int], errors: Findings, column: str | None
) -> npt.NDArray[np.int8]:
    splits = np.full(len(cells), NOWHERE, np.int8)
    for i, (line, cell) in enumerate(zip(lines, cells, strict=True)):
        named = _SPLIT_NAMES.get(cell.strip().casefold())
        if named is None:
            message = f"{quote(cell)} is none of train, validation and test"
            errors.add("invalid-split", message, line=line, column=column)
        else:
            splits[i] = SPLITS.index(named)
    return splits


def _time(cell: str) -> tuple[str, float] | None:
    """Return what kind of time a cell holds, and it as a number that grows with it.

    A date without a zone is in UTC, so that its place depends on no machine.
    """
    plain = cell.strip()
    if _NUMBER.fullmatch(plain):
        number = float(plain)
        return ("number", number) if math.isfinite(number) else None
    try:
        moment = datetime.fromisoformat(plain)
        return "date", moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
