"""Ranking: how well probabilities part the rows that have a label from those that lack it.

scikit-learn is imported where it is used: it takes a second.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ONE_SIDED = "no label is one that some rows have and others lack"
NOBODY = "no row has a label"


class Ranking(NamedTuple):
    """Shapes: (labels,) each, NaN where a label has no such figure."""

    roc_auc: NDArray[np.float64]
    pr_auc: NDArray[np.float64]  # average precision


def ranking_of(truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Ranking:
    """Return the areas under both curves of each label, one against the rest.

    Shapes: truth, probabilities (rows, labels).
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    roc_auc, pr_auc = np.full((2, truth.shape[1]), np.nan)
    had, lacked = truth.any(axis=0), ~truth.all(axis=0)
    both = np.flatnonzero(had & lacked)
    if len(both):
        roc_auc[both] = roc_auc_score(truth[:, both], probabilities[:, both], average=None)
    some = np.flatnonzero(had)
    if len(some):
        pr_auc[some] = average_precision_score(truth[:, some], probabilities[:, some], average=None)
    # Sums of shares may come out above 1 by a rounding, which the contract would not take.
    return Ranking(np.clip(roc_auc, 0.0, 1.0), np.clip(pr_auc, 0.0, 1.0))


def mean_of(values: NDArray[np.float64]) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def or_none(value: float) -> float | None:
    """Return a figure, or None for NaN."""
    return float(value) if np.isfinite(value) else None
