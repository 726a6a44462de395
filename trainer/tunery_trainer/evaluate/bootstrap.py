"""Bootstrap: how far figures would move on other rows of the same kind: 95 % intervals.

Stratified: each draw has as many rows of a stratum as there are. A figure that no draw moves, such
as an accuracy of 1, has an interval of no width, however few the rows are. Source: Efron and
Tibshirani 1993, An Introduction to the Bootstrap, 13.3 (percentiles).
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tunery.types import Metric

DRAWS = 1000
_SEED = 42
_MAX_PICKED = 20_000_000  # rows of all draws, a second or so; many rows need fewer draws
_MIN_DRAWS = 200
_CHUNK_PICKED = 2_000_000  # rows of the draws that are held at once

Floats = NDArray[np.float64]


def redrawn_confusions(matrix: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return hits and predictions of each label (draws, labels) as other rows would have them.

    The rows of a true label fall on the predicted ones as they did, so that rows need not be drawn
    one by one.

    Shapes: matrix (labels, labels), true by predicted.
    """
    generator = np.random.default_rng(_SEED)
    labels = len(matrix)
    hits, predicted = np.zeros((DRAWS, labels)), np.zeros((DRAWS, labels))
    for i, row in enumerate(matrix):
        support = int(row.sum())
        if not support:
            continue
        fallen = np.flatnonzero(row)
        drawn = generator.multinomial(support, row[fallen] / support, size=DRAWS)
        predicted[:, fallen] += drawn
        if row[i]:
            hits[:, i] = drawn[:, np.searchsorted(fallen, i)]
    return hits, predicted


def redrawn_rows(strata: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield how often each draw takes each row: (some draws, rows) at a time.

    Shapes: strata (rows,), the stratum of each.
    """
    generator = np.random.default_rng(_SEED)
    rows = len(strata)
    order = np.argsort(strata, kind="stable")
    _, starts, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    first, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    left = min(DRAWS, max(_MIN_DRAWS, _MAX_PICKED // max(1, rows)))
    while left > 0:
        draws = min(left, max(1, _CHUNK_PICKED // rows))
        left -= draws
        picked = first + generator.integers(0, size, size=(draws, rows))
        picked += np.arange(draws)[:, None] * rows
        taken = np.empty((draws, rows), np.float32)
        taken[:, order] = np.bincount(picked.reshape(-1), minlength=draws * rows).reshape(
            draws, rows
        )
        yield taken


def redrawn_kinds(counts: NDArray[np.int64], strata: NDArray[np.int64]) -> Iterator[Floats]:
    """Yield how many rows of each kind a draw has: (some draws, kinds) at a time.

    Rows of a kind are alike, so that they need not be drawn one by one.

    Shapes: counts, strata (kinds,), the rows and the stratum of each.
    """
    generator = np.random.default_rng(_SEED)
    kinds = len(counts)
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    left = min(DRAWS, max(_MIN_DRAWS, _MAX_PICKED // max(1, kinds)))
    while left > 0:
        draws = min(left, max(1, _CHUNK_PICKED // kinds))
        left -= draws
        taken = np.empty((draws, kinds))
        for group in groups:
            rows = int(counts[group].sum())
            taken[:, group] = generator.multinomial(rows, counts[group] / rows, size=draws)
        yield taken


def metrics_of(
    values: Mapping[str, float], draws: Mapping[str, Floats], reasons: Mapping[str, str]
) -> dict[str, Metric]:
    """Return values with the intervals of their draws; NaN is null, for its reason."""
    found: dict[str, Metric] = {}
    for name, value in values.items():
        if not np.isfinite(value):
            found[name] = Metric(value=None, reason=reasons[name])
            continue
        drawn = draws.get(name, np.empty(0))
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.percentile(drawn, (2.5, 97.5)) if len(drawn) else (None, None)
        found[name] = Metric(
            value=float(value),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
        )
    return found
