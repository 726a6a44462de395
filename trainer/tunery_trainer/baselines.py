"""Baselines: what a fine-tune has to beat, as step 0 of its curves."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunery_trainer.checkpoint import copy_of_weights
from tunery_trainer.data import TokenRows
from tunery_trainer.model import Classifier
from tunery_trainer.tasks import Task
from tunery_trainer.validation import figures_of

BASELINE_ROWS = 512  # of validation, so that a second is enough
_FIGURES = ("accuracy", "macro_f1")


def untrained(
    classifier: Classifier,
    initial: Mapping[str, Tensor],
    judged: Callable[[], dict[str, float]],
) -> dict[str, float]:
    """Return what is `judged` of the initial weights; those of now are back afterwards."""
    now = copy_of_weights(classifier)
    classifier.load_state_dict(initial)
    try:
        return judged()
    finally:
        classifier.load_state_dict(now)


def majority(rows: TokenRows, class_counts: NDArray[np.int64], task: Task) -> dict[str, float]:
    """Return the figures of who always names the commonest class of the training rows."""
    logits = np.zeros((len(rows), len(class_counts)), dtype=np.float32)  # (rows, C)
    logits[:, int(class_counts.argmax())] = 1.0
    figures = figures_of(logits, rows, task)
    return {f"majority_{name}": figures[name] for name in _FIGURES if name in figures}
