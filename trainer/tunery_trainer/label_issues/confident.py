"""Confident learning: how many labels are wrong, and which.

The count is that of rows which are confidently another label's; which rows they are is told by the
probability of the label that each has. Of cleanlab's filters this one found the most planted errors
with the fewest false alarms: tests/bench/RESULTS.md. Source: Northcutt et al. 2021,
arXiv:1911.00068. cleanlab is imported where it is used: it takes seconds.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # it imports torch, which the reader of the list does without
    from tunery_trainer.label_issues.folds import Said


class Doubts(NamedTuple):
    """Rows whose label is likely wrong, the worst first; shapes: (doubts,) each."""

    rows: NDArray[np.int64]  # their places among all
    suggested: NDArray[np.int64]  # the most probable other label
    quality: NDArray[np.float64]  # probability of the label that they have
    margins: NDArray[np.float64]  # quality, less the probability of the suggested one


def doubts_of(targets: NDArray[np.int64], said: "Said") -> Doubts:
    """Return the rows whose label is likely wrong; targets (rows,)."""
    rows = np.flatnonzero(said.judged)
    given, probabilities = targets[rows], said.probabilities[rows].astype(np.float64)
    if len(np.unique(given)) < 2:
        rows = rows[:0]
        return Doubts(rows, rows, rows.astype(np.float64), rows.astype(np.float64))
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    doubted = find_label_issues(given, probabilities, filter_by="low_self_confidence", n_jobs=1)
    quality = get_label_quality_scores(given, probabilities, method="self_confidence")
    probabilities[np.arange(len(rows)), given] = -1.0
    suggested = probabilities.argmax(axis=1)
    margins = quality - probabilities.max(axis=1)
    # Among many labels the most probable one may have little, and still be the one that it has.
    found = np.flatnonzero(doubted & (margins < 0))
    found = found[np.argsort(quality[found], kind="stable")]
    return Doubts(rows[found], suggested[found], quality[found], margins[found])
