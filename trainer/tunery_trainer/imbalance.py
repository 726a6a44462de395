"""Imbalance: weights by which classes of few rows count for more.

Each of the two ways takes the square root, so that both together balance the classes: a full
balance by either alone makes much of few rows, which are then learned by heart. Imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

from tunery.types import Imbalance


def class_weights_of(counts: NDArray[np.int64], imbalance: Imbalance) -> NDArray[np.float32] | None:
    """Return the weight of each class in the loss (labels,), whose mean over the rows is 1."""
    if imbalance == "none":
        return None
    weights = _roots(counts)
    weights *= counts.sum() / (weights * counts).sum()
    return weights.astype(np.float32)


def sampling_weights_of(
    counts: NDArray[np.int64], labels: NDArray[np.int64], imbalance: Imbalance
) -> NDArray[np.float64] | None:
    """Return how often each row is drawn, relative to others (rows,)."""
    return _roots(counts)[labels] if imbalance == "class_weights_and_sampling" else None


def _roots(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / np.sqrt(np.maximum(counts, 1)))
