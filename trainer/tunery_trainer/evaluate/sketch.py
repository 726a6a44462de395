"""A sketch of an evaluation's rows: what a report shows of them, small however many there are.

Reads the file that `stored_rows` writes. Imports no torch.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from msgspec.structs import replace
from numpy.typing import NDArray

from tunery.types import EvaluatedRow
from tunery_trainer.evaluate import stored_rows
from tunery_trainer.protocol.wire import OperatingPoint, ReadErrors, Sketched, SketchRows

MAX_POINTS = 200  # of the curve: more than a screen shows
MAX_NUMBERS = 1000
MARKS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)  # least scores that have a point of their own


def sketched(asked: SketchRows) -> Sketched:
    """Return what was asked for."""
    path = Path(asked.path)
    table = pq.read_table(path, columns=["label", "predicted", "score"])
    labels, predicted = table.column("label").to_numpy(), table.column("predicted").to_numpy()
    scores = table.column("score").to_numpy().astype(np.float64)  # null is NaN
    scored = len(scores) > 0 and not np.isnan(scores).any()
    return Sketched(
        id=asked.id,
        errors=[_cut(row, asked.characters) for row in _hardest(path, asked)],
        wrong=int((labels != predicted).sum()),
        points=operating_points(scores, labels == predicted) if scored else [],
        numbers=[] if scored else _numbers(labels, predicted),
    )


def operating_points(scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> list[OperatingPoint]:
    """Return precision and recall by the least score that is answered; shapes: (rows,)."""
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], np.cumsum(hits[order])
    # Rows of the same score are answered together: a point stands after the last one of them.
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True))
    spread = np.linspace(0, len(ends) - 1, MAX_POINTS).astype(np.int64)
    marked = np.searchsorted(-falling[ends], -np.array(MARKS), side="right") - 1
    shown = ends[np.union1d(spread, marked[marked >= 0])]
    return [
        OperatingPoint(
            score=float(falling[end]),
            answered=(end + 1) / len(scores),
            precision=float(right[end] / (end + 1)),
            recall=float(right[end] / len(scores)),
        )
        for end in shown.tolist()
    ]


def _hardest(path: Path, asked: SketchRows) -> list[EvaluatedRow]:
    errors = ReadErrors(
        id=asked.id,
        path=asked.path,
        true=None,
        predicted=None,
        right=False,
        sort="-loss",
        offset=0,
        limit=asked.errors,
    )
    return stored_rows.read(path, errors)[0]


def _cut(row: EvaluatedRow, characters: int) -> EvaluatedRow:
    pair = row.text_pair
    return replace(
        row,
        text=_shortened(row.text, characters),
        text_pair=None if pair is None else _shortened(pair, characters),
    )


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters] + "…"


def _numbers(
    labels: NDArray[np.object_], predicted: NDArray[np.object_]
) -> list[tuple[float, float]]:
    if not len(labels):
        return []
    sample = np.unique(np.linspace(0, len(labels) - 1, MAX_NUMBERS).astype(np.int64))
    return [
        (float(true), float(answer))
        for true, answer in zip(labels[sample], predicted[sample], strict=True)
    ]
