"""Abstention: above which score an answer to a label is given, by what validation rows show.

By precision a threshold is the least one above which answers are shown to be right often enough: by
a one-sided Clopper-Pearson bound, since the share itself is what was wanted only half the time on
other rows (tests/bench/RESULTS.md). Few rows of a class show nothing, so that classes share a
threshold: a class leaves it where its own rows show that a lower one does, or that this one fails.

Source: Geifman & El-Yaniv 2017, arXiv:1705.08500 (selective classification by a bound); Clopper &
Pearson 1934; Chow 1970.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunery.types import Abstain, AbstainByCost, AbstainByCoverage
from tunery_trainer.protocol.applicability import CONFIDENCE

ALWAYS, NEVER = 0.0, 1.0  # no probability is above 1

Scores = NDArray[np.float64]
Hits = NDArray[np.bool_]
# Which prefixes will do: right ones (n,) and rows (n,) of each, in; (n,) out.
Enough = Callable[[NDArray[np.int64], NDArray[np.int64]], Hits]


def fitted_thresholds(
    wanted: Abstain, scores: Scores, chosen: NDArray[np.int64], hits: Hits, labels: int
) -> list[float]:
    """Return the threshold of each label: its answers are given where scores are above it.

    Shapes: scores, chosen, hits (rows,): the probability of an answer, its label, whether it is
    right.
    """
    match wanted:
        case AbstainByCost():
            shared = max(ALWAYS, 1 - wanted.cost_of_abstaining / wanted.cost_of_error)
            return [shared] * labels
        case AbstainByCoverage():
            return [_covering(scores, wanted.coverage)] * labels
        case _:
            return _by_precision(wanted.precision, scores, chosen, hits, labels)


def _by_precision(
    precision: float, scores: Scores, chosen: NDArray[np.int64], hits: Hits, labels: int
) -> list[float]:
    shown = partial(_shows, precision)
    shared = _threshold(scores, hits, shown)
    thresholds = [shared] * labels
    for label, own in _by_label(chosen):
        own_scores, own_hits = scores[own], hits[own]
        threshold = _threshold(own_scores, own_hits, shown)
        above = own_scores > shared
        if threshold < NEVER:
            thresholds[label] = threshold
        elif _disproves(precision, int(own_hits[above].sum()), int(above.sum())):
            measured = _threshold(own_scores, own_hits, lambda right, n: right >= precision * n)
            thresholds[label] = max(shared, measured)
    return thresholds


def _by_label(chosen: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each label that has rows, and their places."""
    order = np.argsort(chosen, kind="stable")
    labels, starts = np.unique(chosen[order], return_index=True)
    yield from zip(labels.tolist(), np.split(order, starts[1:]), strict=True)


def _covering(scores: Scores, coverage: float) -> float:
    """Return the threshold above which that share of the rows (rows,) is, or a little more."""
    rows = math.ceil(coverage * len(scores))
    return _below(np.sort(scores)[len(scores) - rows], scores)


def _threshold(scores: Scores, hits: Hits, enough: Enough) -> float:
    """Return the least threshold above which the rows (rows,) are enough; NEVER where none is."""
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], np.cumsum(hits[order], dtype=np.int64)
    # Rows of the same score are answered together: a prefix ends after the last one of them.
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True)[: len(scores)])
    good = np.flatnonzero(enough(right[ends], ends + 1))
    return _below(falling[ends[good[-1]]], scores) if len(good) else NEVER


def _below(least: float, scores: Scores) -> float:
    """Return the middle between a score and the next lower one."""
    lower = scores[scores < least]
    return float((least + lower.max()) / 2) if len(lower) else ALWAYS


def _shows(precision: float, right: NDArray[np.int64], rows: NDArray[np.int64]) -> Hits:
    """Return whether so many right ones of so many rows show that they are right often enough."""
    from scipy.special import bdtrc

    # The bound is above the precision where that would seldom give as many right ones.
    return np.asarray(bdtrc(right - 1, rows, precision) <= 1 - CONFIDENCE)


def _disproves(precision: float, right: int, rows: int) -> bool:
    from scipy.special import bdtr

    return rows > 0 and bool(bdtr(right, rows, precision) <= 1 - CONFIDENCE)
