"""Stored rows: the rows of a dataset that was ingested before, as another ingest reads them.

They keep the lines that they had in the file from which they came.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunery.types import ColumnsUsed
from tunery_trainer.ingest.records import SCHEMA, Opened, Part

_BATCH_ROWS = 8192


def open_stored(path: Path) -> Opened:
    """Return the rows of one split; there may be none."""
    return Opened(ColumnsUsed(text="text", label="label", inferred=False), _parts(path), "parquet")


def _parts(path: Path) -> Iterator[Part]:
    names = ["line", "text", "label"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            nulls = [pa.nulls(len(batch), pa.string())] * (len(SCHEMA) - len(names))
            columns = [*(batch.column(name) for name in names), *nulls]
            yield Part(pa.table(columns, schema=SCHEMA))
