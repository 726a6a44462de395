"""Stored rows: each row of an evaluation as it was answered, in file order, as Parquet.

    row line text [text_pair] label predicted score margin loss [abstained] logits nearest

Owns the file that two evaluations of the same rows are compared by. Knows no task: `score`,
`margin` and `loss` are the task's. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tunery.types import EvaluatedRow, NearestRow
from tunery_trainer.protocol.wire import ReadErrors
from tunery_trainer.tasks import Judged

_GROUP_ROWS = 8192  # read at once to show a row
_NEAREST = pa.list_(
    pa.struct(
        {
            "line": pa.int64(),
            "text": pa.string(),
            "text_pair": pa.string(),
            "label": pa.string(),
            "similarity": pa.float64(),
        }
    )
)


def write(
    path: Path,
    split: pa.Table,
    judged: Judged,
    logits: NDArray[np.float32],
    nearest: Mapping[int, list[NearestRow]],
) -> None:
    """Write the rows of a split with their answers.

    Shapes: split (rows) with columns line, text, label and, of pairs, text_pair; logits
    (rows, outputs); nearest by the place of a row.
    """
    ends = np.arange(len(logits) + 1, dtype=np.int32) * logits.shape[1]
    columns = {
        "row": pa.array(range(split.num_rows), pa.int64()),
        **{name: split.column(name) for name in split.column_names},
        "predicted": pa.array(judged.predicted, pa.string()),
        "score": pa.array(judged.scores, pa.float64(), from_pandas=True),  # NaN is null
        "margin": pa.array(judged.margins, pa.float64(), from_pandas=True),
        "loss": pa.array(judged.losses, pa.float64(), from_pandas=True),
        **({} if judged.abstained is None else {"abstained": pa.array(judged.abstained)}),
        "logits": pa.ListArray.from_arrays(pa.array(ends), pa.array(logits.reshape(-1))),
        "nearest": pa.array(
            [msgspec.to_builtins(nearest.get(row, [])) for row in range(len(logits))], _NEAREST
        ),
    }
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=_GROUP_ROWS)


def read(path: Path, asked: ReadErrors) -> tuple[list[EvaluatedRow], bool]:
    """Return a page of rows, and whether another one follows."""
    with pq.ParquetFile(path) as file:
        places = _chosen(file, asked)
        shown = places[asked.offset : asked.offset + asked.limit]
        has_more = len(places) > asked.offset + asked.limit
        return msgspec.convert(_rows_at(file, shown), list[EvaluatedRow]), has_more


def rows_at(path: Path, places: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return rows by their places, without logits."""
    with pq.ParquetFile(path) as file:
        return _rows_at(file, places)


def _chosen(file: Any, asked: ReadErrors) -> NDArray[np.int64]:
    """Return the places of the rows that were asked for, in the order that was asked for."""
    by = asked.sort.removeprefix("-")
    table = file.read(columns=["label", "predicted", by])
    labels, predicted = table.column("label").to_numpy(), table.column("predicted").to_numpy()
    kept = np.ones(len(labels), np.bool_) if asked.right else labels != predicted
    for column, wanted in ((labels, asked.true), (predicted, asked.predicted)):
        if wanted is not None:
            kept &= column == wanted
    places = np.flatnonzero(kept)
    values = table.column(by).to_numpy()[places]
    # A null is NaN, which goes last both ways.
    order = np.argsort(-values if asked.sort.startswith("-") else values, kind="stable")
    return places[order]


def _rows_at(file: Any, places: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return rows by their places; only the groups that hold them are read."""
    names = [name for name in file.schema_arrow.names if name != "logits"]
    groups = places // _GROUP_ROWS
    found: dict[int, dict[str, Any]] = {}
    for group in np.unique(groups).tolist():
        here = places[groups == group]
        table = file.read_row_group(group, columns=names).take(pa.array(here - group * _GROUP_ROWS))
        found |= zip(here.tolist(), table.to_pylist(), strict=True)
    return [found[place] for place in places.tolist()]
