"""Stored rows: the rows of a dataset that was ingested before, as another ingest reads them.

They keep the lines that they had in the file from which they came.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from tunery.types import ColumnsUsed
from tunery_trainer.ingest.records import Opened, Part, parts_of_batches

_BATCH_ROWS = 8192


def open_stored(path: Path) -> Opened:
    """Return the rows of one split; there may be none."""
    pair = "text_pair" if "text_pair" in pq.read_schema(path).names else None
    names = ["line", "text", "label", *([] if pair is None else [pair])]
    used = ColumnsUsed(text="text", label="label", text_pair=pair, inferred=False)
    return Opened(used, _parts(path, names), "parquet")


def _parts(path: Path, names: list[str]) -> Iterator[Part]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):  # each as large as the part that it came from
            batches = file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=names, use_threads=False
            )
            cells = ([batch.column(name) for name in names] for batch in batches)
            yield from parts_of_batches(cells, names)
