"""Validation: what the model in training says about the validation split.

Owns the choice of what counts as better.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery.types import Abstain, PlateauSchedule
from tunery_trainer.data import TokenRows
from tunery_trainer.forward import Forward
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.protocol.metrics import LOWER_IS_BETTER, figure_of, parted
from tunery_trainer.state import TrainingState
from tunery_trainer.tasks import Fit, Targets, Task

_UNTOLD = ("_f05", "_f2")  # means that would only fill the curves


class Measure(NamedTuple):
    """What is measured of validation rows."""

    task: Task
    labels: Sequence[str]
    metric: str  # that chooses, beside those that are always told
    abstain: Abstain | None = None  # what thresholds are fitted to

    def figures(self, logits: NDArray[np.float32], targets: Targets) -> dict[str, float]:
        """Return the defined figures by name: logits (rows, outputs)."""
        scores = self.task.scores(logits, targets, self.labels)
        found = {
            name: metric.value
            for name, metric in scores.metrics.items()
            if metric.value is not None and (name == self.metric or not name.endswith(_UNTOLD))
        }
        if parted(self.metric)[1] is not None:
            # A label that no row is given has no precision; for a choice that is none.
            found[self.metric] = figure_of(scores, self.metric) or 0.0
        return found


class Validated(NamedTuple):
    """The figures of a validation, and what the task has measured there for answers to come."""

    figures: dict[str, float]
    fit: Fit


def validate(classifier: Any, rows: TokenRows, forward: Forward, measure: Measure) -> Validated:
    """Return validation_loss and the figures of the task; nothing where there are no rows."""
    if not len(rows):
        return Validated({}, measure.task.fit)
    logits = forward(classifier, classifier, rows)
    task = measure.task.tuned(logits, rows.labels)
    # Before it is calibrated: a loss that rises as a model grows too sure would else stay hidden.
    figures = measure._replace(task=task).figures(logits, rows.labels)
    loss = figures.pop("loss", None)
    task = task.calibrated(logits, rows.labels)
    if measure.abstain is not None:
        task = task.abstaining(logits, rows.labels, measure.abstain)
    return Validated(figures if loss is None else {"validation_loss": loss, **figures}, task.fit)


def judge(figures: dict[str, float], state: TrainingState, settings: Settings, metric: str) -> bool:
    """Note in the state what a validation showed; return whether it is the best so far.

    The best of all phases, that is. Without validation rows the newest is the best.
    """
    stopping = settings.early_stopping
    if not figures:
        state.best_step = state.step
        return True
    value = _value(figures, metric)
    min_delta = stopping.min_delta if stopping else 0.0
    if state.phase_best_value is None or value > state.phase_best_value + min_delta:
        state.phase_best_step, state.phase_best_value = state.step, value
        state.stale_validations = state.borne_validations = 0
        if state.best_value is not None and value <= state.best_value:
            return False
        state.best_step, state.best_value = state.step, value
        return True
    state.stale_validations += 1
    state.borne_validations += 1
    if isinstance(settings.scheduler, PlateauSchedule) and (
        state.borne_validations > settings.scheduler.patience
    ):
        state.reductions, state.borne_validations = state.reductions + 1, 0
    if stopping and state.stale_validations >= stopping.patience:
        state.stop_reason = state.stop_reason or "early-stopping"
    return False


def _value(figures: dict[str, float], metric: str) -> float:
    # One that is not defined, such as a correlation of equal answers, or is NaN is never better;
    # the resume state is JSON, which has none.
    value = figures.get("validation_loss" if metric == "loss" else metric, math.nan)
    if not math.isfinite(value):
        return -sys.float_info.max
    return -value if metric in LOWER_IS_BETTER else value
