"""Neighbours: the training rows that are most like a row, by the characters that they share.

What a model has learned of a text shows in what it was taught of others like it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunery.types import NearestRow
from tunery_trainer.evaluate.baselines import Vectors
from tunery_trainer.tasks import Judged

MAX_ROWS = 500  # whose neighbours are looked for: those that cost the model most
MOST = 3  # neighbours of a row
_SHOWN = 200  # characters of a text
_HELD = 10_000_000  # similarities at once


def neighbours_of(
    judged: Judged,
    cells: NDArray[np.object_],
    vectors: Vectors,
    train: pa.Table,
    alive: Callable[[], None],
) -> dict[int, list[NearestRow]]:
    """Return the neighbours of rows that were answered wrong, by place, the most like first.

    Similarity is the cosine of TF-IDF vectors, as the baseline learns from.

    Shapes: cells (rows,), as stored; train: all training rows.
    """
    wrong = np.flatnonzero(np.array(judged.predicted, object) != cells)
    hardest = wrong[np.argsort(-judged.losses[wrong], kind="stable")][:MAX_ROWS]
    places, similarities = nearest(vectors, hardest, alive)
    told = iter(train.take(pa.array(vectors.rows[places.reshape(-1)])).to_pylist())
    found: dict[int, list[NearestRow]] = {}
    for row, alike in zip(hardest.tolist(), similarities.tolist(), strict=True):
        every = [_row(next(told), similarity) for similarity in alike]
        found[row] = [each for each in every if each.similarity > 0]
    return found


def nearest(
    vectors: Vectors, rows: NDArray[np.int64], alive: Callable[[], None]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which vectorised training rows are most similar, and how: (rows, k) each."""
    train = vectors.train
    k, step = min(MOST, train.shape[0]), max(1, _HELD // train.shape[0])
    places, similarities = np.zeros((len(rows), k), np.int64), np.zeros((len(rows), k))
    for start in range(0, len(rows), step):
        alive()
        part = slice(start, start + step)
        found = (vectors.held_out[rows[part]] @ train.T).toarray()  # (some rows, training rows)
        best = np.argpartition(-found, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(found, best, 1), axis=1, kind="stable")
        places[part] = np.take_along_axis(best, order, 1)
        similarities[part] = np.take_along_axis(found, places[part], 1)
    return places, np.minimum(similarities, 1.0)  # a cosine may be above it by a rounding


def _row(row: dict[str, Any], similarity: float) -> NearestRow:
    pair = row.get("text_pair")
    return NearestRow(
        line=row["line"],
        text=row["text"][:_SHOWN],
        text_pair=None if pair is None else pair[:_SHOWN],
        label=row["label"],
        similarity=similarity,
    )
