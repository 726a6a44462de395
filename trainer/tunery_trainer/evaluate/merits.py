"""Merits: what each answer is worth, and whether two groups of them differ by more than chance.

Right or wrong where the task has labels; the squared error, negated, where it has numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tunery_trainer.tasks import Targets, Task

ALPHA = 0.01  # of all tests of one kind together, so that clean data seldom has a finding
_Z = 1.959964  # of a 95 % interval

Merits = NDArray[Any]  # (rows,) bool or float64, more is better


class Gap(NamedTuple):
    """By how much one group is ahead of another, and its 95 % interval."""

    value: float
    low: float
    high: float


def metric_of(task: Task, targets: Targets) -> str:
    """Return the name of the metric that the mean of merits is, negated if it is a loss."""
    if not task.has_labels:
        return "loss"
    return "accuracy" if targets.ndim == 1 else "subset_accuracy"


def merits_of(task: Task, logits: NDArray[np.float32], targets: Targets) -> Merits:
    """Return what answers are worth: logits (rows, outputs)."""
    answers = task.answers(logits)
    if not task.has_labels:
        wanted = (targets - task.fit.mean) / task.fit.deviation
        return np.asarray(-np.square(answers.sizes[:, 0] - wanted))
    if targets.ndim == 1:
        return np.asarray(answers.choices[:, 0] == targets)
    return np.asarray((answers.choices == (targets > 0)).all(axis=1))


def gap_of(one: Merits, other: Merits) -> Gap:
    """Return by how much one group of rows is ahead of another one; neither is empty.

    Source: Agresti and Caffo 2000, doi:10.1080/00031305.2000.10474560, of shares; Welch 1947, of
    means.
    """
    means, spreads = [], []
    for merits in (one, other):
        rows = len(merits)
        if merits.dtype == np.bool_:
            share = (merits.sum() + 1) / (rows + 2)
            means.append(share)
            spreads.append(share * (1 - share) / (rows + 2))
        else:
            means.append(merits.mean())
            spreads.append(merits.var(ddof=1) / rows if rows > 1 else np.inf)
    middle, half = means[0] - means[1], _Z * float(np.sqrt(sum(spreads)))
    return Gap(float(one.mean() - other.mean()), float(middle - half), float(middle + half))


def chance_of_worse(one: Merits, other: Merits) -> float:
    """Return how probable it is that one group is so far behind by chance alone."""
    if one.dtype == np.bool_:
        table = [[int(each.sum()), int((~each).sum())] for each in (one, other)]
        return float(stats.fisher_exact(table, alternative="less").pvalue)
    if min(len(one), len(other)) < 2 or one.std() + other.std() == 0:
        return 1.0
    return float(stats.ttest_ind(one, other, equal_var=False, alternative="less").pvalue)


def chance_of_better(one: Merits, other: Merits) -> float:
    """Return how probable it is that one model is so far ahead on the same rows by chance alone.

    McNemar's exact test of what is right or wrong, a paired t-test of errors.
    """
    if one.dtype == np.bool_:
        won, lost = int((one & ~other).sum()), int((other & ~one).sum())
        return chance_of_more(won, won + lost, 0.5)
    if len(one) < 2 or (one - other).std() == 0:
        return 1.0
    return float(stats.ttest_rel(one, other, alternative="greater").pvalue)


def chance_of_more(found: int, trials: int, share: float) -> float:
    """Return how probable so many of the trials or more are, each with a chance of `share`."""
    return float(stats.binom.sf(found - 1, trials, share))


def chance_of_fewer(hits: int, rows: int, all_hits: int, all_rows: int) -> float:
    """Return how probable so few hits are among some of all rows: Fisher's exact test."""
    return float(stats.hypergeom.cdf(hits, all_rows, all_hits, rows))


def significant(chances: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Return which of several tests stand, all taken together."""
    return [each <= alpha for each in holm(chances)]


def holm(chances: Sequence[float]) -> list[float]:
    """Return chances that are corrected for their number. Source: Holm 1979."""
    order = np.argsort(chances, kind="stable")
    left = np.arange(len(chances), 0, -1)
    corrected = np.minimum(1.0, np.maximum.accumulate(np.asarray(chances)[order] * left))
    found = np.empty(len(chances))
    found[order] = corrected
    return found.tolist()
