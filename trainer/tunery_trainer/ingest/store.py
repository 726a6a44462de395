"""Store: the splits as Parquet files, and their fingerprint."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunery.types import SPLITS
from tunery_trainer.ingest.pairs import parted_all
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.table import Table

_SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string()), ("label", pa.string())])
_PAIR = pa.field("text_pair", pa.string())
_BATCH_ROWS = 8192


def write_splits(directory: Path, table: Table, pulse: Pulse, *, pairs: bool) -> str:
    """Write `{split}.parquet` with columns line, text and label; return the fingerprint.

    With `pairs`, text_pair is a fourth column. The fingerprint is over split, text, text_pair and
    label in order; NUL, which no cell holds, parts them.
    """
    schema = _SCHEMA.append(_PAIR) if pairs else _SCHEMA
    digest = hashlib.sha256()
    names = pa.array(table.names, pa.string())
    done, total = 0, int(table.kept.sum())
    for place, split in enumerate(SPLITS):
        mask = table.kept & (table.splits == place)
        with pq.ParquetWriter(directory / f"{split}.parquet", schema, compression="zstd") as writer:
            for first, texts in table.spool.batches():
                pulse.beat("writing", done, total)
                chosen = np.flatnonzero(mask[first : first + len(texts)])
                if not len(chosen):
                    continue
                rows = chosen + first
                own = texts.take(pa.array(chosen))
                labels = names.take(pa.array(table.labels[rows]))
                text, *pair = parted_all(own) if pairs else [own]
                columns = [pa.array(table.lines[rows]), text, labels, *pair]
                batch = pa.record_batch(columns, schema=schema)
                writer.write_batch(batch, row_group_size=_BATCH_ROWS)
                digest.update(_told(split, own, labels))
                done += len(rows)
    return f"sha256:{digest.hexdigest()}"


def _told(split: str, texts: pa.Array, labels: pa.Array) -> bytes:
    rows = zip(texts.to_pylist(), labels.to_pylist(), strict=True)
    return "".join(f"{split}\0{text}\0{label}\0" for text, label in rows).encode()
