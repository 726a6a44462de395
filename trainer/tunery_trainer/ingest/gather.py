"""Gathering: the rows of all files, and of the parent version, become one table."""

import math
from datetime import datetime
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


class Gatherer:
    """Takes rows part by part; what is compared later is worked out while they are at hand."""

    def __init__(self, directory: Path, seed: int, *, aside: str | None, sketch: bool) -> None:
        self._spool = Spool(directory / "texts.arrow")
        self._seed = seed
        self._aside = aside  # group_by, time_column or column
        self._sketches = Sketches(directory) if sketch else None
        self.normaliser = Normaliser()
        self._names: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._parts: dict[str, list[npt.NDArray[Any]]] = {}
        self.count = 0

    def add(
        self, rows: pa.Table, split: Split | None, errors: Findings, column: str | None
    ) -> None:
        """Add usable rows of a file; shapes: a table of records.SCHEMA."""
        if not rows.num_rows:
            return
        asides, splits = self._asides(rows, split, errors, column)
        self._append(rows.column("line"), rows.column("text"), rows.column("label"), splits)
        self._parts.setdefault("asides", []).append(asides)
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
            names=list(self._names),
            own=self.count,
            lines=joined.get("lines", empty),
            labels=joined.get("labels", empty),
            splits=joined.get("splits", empty.astype(np.int8)),
            keys=joined.get("keys", empty.astype(np.uint64)),
            hashes=joined.get("hashes", empty.astype(np.uint64)),
            asides=joined.get("asides") if self._aside in ("group_by", "time_column") else None,
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

    def _asides(
        self, rows: pa.Table, split: Split | None, errors: Findings, column: str | None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int8]]:
        place = NOWHERE if split is None else SPLITS.index(split)
        splits = np.full(rows.num_rows, place, np.int8)
        if self._aside is None:
            return np.zeros(rows.num_rows, np.int8), splits
        cells = pc.fill_null(rows.column("aside"), "").to_pylist()
        lines = rows.column("line").to_pylist()
        if self._aside == "group_by":
            groups = [self._groups.setdefault(cell, len(self._groups)) for cell in cells]
            return np.asarray(groups, np.int64), splits
        if self._aside == "time_column":
            times = [_seconds(cell) for cell in cells]
            for line, cell, seconds in zip(lines, cells, times, strict=True):
                if seconds is None:
                    message = f"{quote(cell)} is no time"
                    errors.add("invalid-time", message, line=line, column=column)
            return np.asarray([each or 0.0 for each in times]), splits
        for i, (line, cell) in enumerate(zip(lines, cells, strict=True)):
            named = _SPLIT_NAMES.get(cell.strip().casefold())
            if named is None:
                message = f"{quote(cell)} is none of train, validation and test"
                errors.add("invalid-split", message, line=line, column=column)
            else:
                splits[i] = SPLITS.index(named)
        return np.zeros(rows.num_rows, np.int8), splits


def _seconds(cell: str) -> float | None:
    """Return a time as a number that grows with it: the number it is, or seconds since 1970."""
    try:
        number = float(cell)
    except ValueError:
        try:
            number = datetime.fromisoformat(cell.strip()).timestamp()
        except (ValueError, OverflowError):
            return None
    return number if math.isfinite(number) else None
