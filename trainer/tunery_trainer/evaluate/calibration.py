"""Calibration: whether a probability of 0.8 is right four times of five.

Source: Guo et al. 2017, arXiv:1706.04599, equation 3, with 15 bins of equal width.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunery.types import Calibration, CalibrationBin
from tunery_trainer.tasks import Fit, Judged, Targets, Task, task_named

BINS = 15


def calibration_of(
    task: Task,
    logits: NDArray[np.float32],
    targets: Targets,
    judged: Judged,
    labels: Sequence[str],
) -> Calibration | None:
    """Return how answers are calibrated, before temperature and after; logits (rows, labels)."""
    if not task.has_labels or targets.ndim == 2 or not len(targets):
        return None
    plain = task_named(task.name, Fit()).judged(logits, targets, labels)
    hits = logits.argmax(axis=1) == targets
    bins = bins_of(judged.scores, hits)
    return Calibration(
        temperature=task.fit.temperature,
        ece_before=expected_error(bins_of(plain.scores, hits)),
        ece_after=expected_error(bins),
        bins=bins,
    )


def bins_of(confidences: NDArray[np.float64], hits: NDArray[np.bool_]) -> list[CalibrationBin]:
    """Return the bins that have rows; shapes: (rows,) both."""
    place = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    sure = np.bincount(place, weights=confidences, minlength=BINS)
    right = np.bincount(place, weights=hits, minlength=BINS)
    return [
        CalibrationBin(
            low=i / BINS,
            high=(i + 1) / BINS,
            rows=int(rows[i]),
            confidence=min(1.0, float(sure[i] / rows[i])),
            accuracy=float(right[i] / rows[i]),
        )
        for i in np.flatnonzero(rows).tolist()
    ]


def expected_error(bins: list[CalibrationBin]) -> float:
    """Return the mean distance of confidence and accuracy, over rows; NaN where there are none."""
    rows = sum(each.rows for each in bins)
    if not rows:
        return float("nan")
    return sum(each.rows * abs(each.confidence - each.accuracy) for each in bins) / rows
