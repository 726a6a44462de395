"""Baselines: what a fine-tune has to beat, as step 0 of its curves."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from tunery_trainer.checkpoint import copy_of_weights
from tunery_trainer.data import TokenRows
from tunery_trainer.model import Classifier
from tunery_trainer.tasks import Targets
from tunery_trainer.validation import Measure

BASELINE_ROWS = 512  # of validation, so that a second is enough
_FIGURES = ("accuracy", "macro_f1", "subset_accuracy", "micro_f1", "mae", "rmse")


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


def textless(rows: TokenRows, targets: Targets, measure: Measure) -> dict[str, float]:
    """Return the figures of who knows the training targets, and answers the same to each text."""
    name, logits = measure.task.baseline(targets, len(measure.labels))
    figures = measure.figures(np.tile(logits, (len(rows), 1)), rows.labels)
    told = dict.fromkeys((*_FIGURES, measure.metric))
    return {f"{name}_{each}": figures[each] for each in told if each in figures}
