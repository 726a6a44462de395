"""Store: the splits as Parquet files, and their fingerprint."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tunery.types import SPLITS
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.rows import Row
from tunery_trainer.ingest.splits import Splits

_BATCH_ROWS = 8192


def write_splits(directory: Path, splits: Splits, pulse: Pulse) -> str:
    """Write `{split}.parquet` with columns line, text and label; return the fingerprint.

    The fingerprint is over split, text and label in order; NUL, which no cell holds, parts them.
    """
    schema = pa.schema([("line", pa.int64()), ("text", pa.string()), ("label", pa.string())])
    digest = hashlib.sha256()
    total = sum(map(len, splits.values()))
    done = 0
    for split in SPLITS:
        path = directory / f"{split}.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in _batches(splits[split]):
                pulse.beat("writing", done, total)
                columns = [
                    [row.line for row in batch],
                    [row.text for row in batch],
                    [row.label for row in batch],
                ]
                writer.write_table(pa.table(columns, schema=schema))
                for row in batch:
                    digest.update(f"{split}\0{row.text}\0{row.label}\0".encode())
                done += len(batch)
    return f"sha256:{digest.hexdigest()}"


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _BATCH_ROWS):
        yield rows[start : start + _BATCH_ROWS]
