"""Store: the splits as Parquet files, and their fingerprint."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunery.types import SPLITS
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.table import Table

_SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string()), ("label", pa.string())])
_BATCH_ROWS = 8192


def write_splits(directory: Path, table: Table, pulse: Pulse) -> str:
    """Write `{split}.parquet` with columns line, text and label; return the fingerprint.

    The fingerprint is over split, text and label in order; NUL, which no cell holds, parts them.
    """
    digest = hashlib.sha256()
    names = pa.array(table.names, pa.string())
    done, total = 0, int(table.kept.sum())
    for place, split in enumerate(SPLITS):
        mask = table.kept & (table.splits == place)
        with pq.ParquetWriter(
            directory / f"{split}.parquet", _SCHEMA, compression="zstd"
        ) as writer:
            for first, texts in table.spool.batches():
                pulse.beat("writing", done, total)
                chosen = np.flatnonzero(mask[first : first + len(texts)])
                if not len(chosen):
                    continue
                rows = chosen + first
                batch = pa.record_batch(
                    [
                        pa.array(table.lines[rows]),
                        texts.take(pa.array(chosen)),
                        names.take(pa.array(table.labels[rows])),
                    ],
                    schema=_SCHEMA,
                )
                writer.write_batch(batch, row_group_size=_BATCH_ROWS)
                digest.update(_told(split, batch))
                done += len(rows)
    return f"sha256:{digest.hexdigest()}"


def _told(split: str, batch: pa.RecordBatch) -> bytes:
    texts, labels = batch.column("text").to_pylist(), batch.column("label").to_pylist()
    return "".join(
        f"{split}\0{text}\0{label}\0" for text, label in zip(texts, labels, strict=True)
    ).encode()
