"""Epochs: which rows make each batch of one, padded to which length. Imports no torch."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

TRAINING_BUCKET = {"cpu": 2, "cuda": 8}  # tokens; a CPU pays for padding, a GPU for odd shapes
CHUNK_BATCHES = 50  # sorted together: long enough to fill batches evenly, short enough to shuffle


def epoch_batches(
    lengths: NDArray[np.int32],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    weights: NDArray[np.float64] | None = None,
) -> list[NDArray[np.int64]]:
    """Return the row numbers of each batch of one epoch; every row stands in exactly one.

    With `weights` (rows,) as many rows are drawn as there are, each as often as it weighs.

    A function of its arguments alone, so that a resumed run takes up at the next batch. Rows are
    shuffled, sorted by length within chunks of 50 batches, and the batches shuffled again: random
    order costs 2.6 times as long in padding (PERFORMANCE.md, Training).
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    if weights is not None:
        order = generator.choice(len(lengths), len(lengths), p=weights / weights.sum())
    batches = []
    for chunk in _slices(order, batch_size * CHUNK_BATCHES):
        by_length = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += list(_slices(by_length, batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]


def _slices(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
