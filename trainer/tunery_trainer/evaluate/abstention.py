"""Abstention: what is had of a version that answers only where it is sure enough.

Source: El-Yaniv & Wiener 2010, JMLR 11 (coverage and selective risk); Geifman et al. 2019,
arXiv:1805.08206, equation 1 (the area under the curve of both).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunery.types import Abstain, Abstention, LabelThreshold
from tunery_trainer.tasks import Judged, Targets, Task

Floats = NDArray[np.float64]


def abstention_of(
    task: Task,
    wanted: Abstain | None,
    logits: NDArray[np.float32],
    targets: Targets,
    judged: Judged,
    labels: Sequence[str],
) -> Abstention | None:
    """Return what each label's threshold has done to the rows: logits (rows, labels)."""
    if wanted is None or judged.abstained is None:
        return None
    chosen, answered = logits.argmax(axis=1), ~judged.abstained
    right = answered & (chosen == targets)
    counts = [
        np.bincount(chosen[kept], minlength=len(labels)).tolist()
        for kept in (slice(None), answered, right)
    ]
    return Abstention(
        wanted=wanted,
        labels=[
            LabelThreshold(
                label=label,
                threshold=threshold,
                rows=rows,
                answered=given,
                precision=hits / given if given else None,
            )
            for label, threshold, rows, given, hits in zip(
                labels, task.fit.thresholds, *counts, strict=True
            )
        ],
    )


def risk_area(scores: Floats, hits: NDArray[np.bool_], taken: NDArray[np.float32]) -> Floats:
    """Return the mean share of wrong ones among the surest rows, over how many are answered.

    Rows of the same score are answered together.

    Shapes: scores, hits (rows,); taken (draws, rows), how often each is there; returns (draws,).
    """
    order = np.argsort(-scores, kind="stable")
    falling, taken = scores[order], taken[:, order]
    last = np.searchsorted(-falling, -falling, side="right") - 1  # (rows,), of the same score
    answered = np.cumsum(taken, axis=1, dtype=np.float64)
    wrong = np.cumsum(taken * ~hits[order], axis=1, dtype=np.float64)
    risks = (wrong / np.maximum(answered, 1))[:, last]
    return np.asarray((taken * risks).sum(axis=1) / answered[:, -1])
