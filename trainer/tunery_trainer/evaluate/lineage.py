"""Lineage: which evaluated rows a model's weights have seen, in any dataset that made them.

Rows are compared as ingest compares them: texts but for case and signs.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tunery_trainer.ingest.normalise import Hashes, Normaliser, hashes
from tunery_trainer.ingest.pairs import joined
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.stored_texts import text_columns

_BATCH_ROWS = 8192


def seen_rows(spec: EvaluateRun) -> tuple[NDArray[np.bool_], int]:
    """Return which rows were seen (rows,), and with how many rows they were compared."""
    seen = [_hashes_of(Path(path)) for paths in spec.lineage.values() for path in paths]
    compared = sum(map(len, seen))
    own = _hashes_of(Path(spec.rows))
    return np.isin(own, np.concatenate([own[:0], *seen])), compared


def _hashes_of(parquet: Path) -> Hashes:
    normaliser = Normaliser()
    found = [
        hashes(normaliser.fold_all([text.encode() for text in texts]))
        for texts in _texts_in(parquet)
    ]
    return np.concatenate([np.empty(0, np.uint64), *found])


def _texts_in(parquet: Path) -> Iterator[list[str]]:
    names = text_columns(parquet)
    with pq.ParquetFile(parquet) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            rows = pa.Table.from_batches([batch])
            yield (joined(rows) if len(names) == 2 else rows).column("text").to_pylist()
