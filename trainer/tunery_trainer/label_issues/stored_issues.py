"""Stored issues: the rows whose label is likely wrong, the worst first, as Parquet.

    split line text [text_pair] label suggested_label quality margin

Imports no torch.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tunery.types import LabelIssue
from tunery_trainer.label_issues.confident import Doubts
from tunery_trainer.protocol.wire import LabelIssuesRead, ReadLabelIssues


def write(path: Path, rows: pa.Table, doubts: Doubts, labels: Sequence[str]) -> None:
    """Write doubted rows; shapes: rows (rows) with columns split, line, text, label."""
    doubted = rows.take(pa.array(doubts.rows))
    columns = {
        **{name: doubted.column(name) for name in doubted.column_names},
        "suggested_label": pa.array([labels[i] for i in doubts.suggested.tolist()], pa.string()),
        "quality": pa.array(np.clip(doubts.quality, 0.0, 1.0), pa.float64()),
        "margin": pa.array(np.clip(doubts.margins, -1.0, 1.0), pa.float64()),
    }
    pq.write_table(pa.table(columns), path)


def read(path: Path, asked: ReadLabelIssues) -> LabelIssuesRead:
    """Return the rows that were asked for, in their order, and how many there are."""
    table = pq.read_table(path)
    if asked.split is not None:
        table = table.filter(pc.equal(table.column("split"), asked.split))
    shown = table.slice(asked.offset, asked.limit).to_pylist()
    return LabelIssuesRead(
        id=asked.id,
        issues=[LabelIssue(**row) for row in shown],
        has_more=table.num_rows > asked.offset + asked.limit,
        total=table.num_rows,
    )
