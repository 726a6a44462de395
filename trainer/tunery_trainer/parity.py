"""Parity: how far the answers of a runtime are from torch's in fp32. Imports no torch."""

import numpy as np
from numpy.typing import NDArray

from tunery.types import Parity
from tunery_trainer.tasks import Task

LARGEST_DIFFERENCE = 1e-3  # of a probability, or in deviations; measured: 4e-6


def passes(parity: Parity) -> bool:
    """Return whether an export may serve."""
    return parity.labels_changed == 0 and parity.largest_difference <= LARGEST_DIFFERENCE


def compare(task: Task, expected: NDArray[np.float32], found: NDArray[np.float32]) -> Parity:
    """Return how far two sets of logits (rows, outputs) are apart as answers."""
    if not len(expected):
        return Parity(rows=0, labels_changed=0, largest_difference=0.0)
    one, other = task.answers(expected), task.answers(found)
    difference = np.abs(one.sizes - other.sizes).max()
    return Parity(
        rows=len(expected),
        labels_changed=int((one.choices != other.choices).any(axis=1).sum()),
        # NaN is as far apart as can be.
        largest_difference=float(difference) if np.isfinite(difference) else 1.0,
    )
