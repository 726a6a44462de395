"""Validation: what the model in training says about the validation split.

Owns the choice of what counts as better.
"""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery.types import PlateauSchedule
from tunery_trainer.data import TokenRows
from tunery_trainer.forward import Forward
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.state import TrainingState
from tunery_trainer.tasks import Fit, Task


class Validated(NamedTuple):
    """The figures of a validation, and what the task has measured there for answers to come."""

    figures: dict[str, float]
    fit: Fit


def validate(classifier: Any, rows: TokenRows, task: Task, forward: Forward) -> Validated:
    """Return validation_loss and the figures of the task; nothing where there are no rows."""
    if not len(rows):
        return Validated({}, task.fit)
    logits = forward(classifier, classifier, rows)
    task = task.tuned(logits, rows.labels)
    # Before it is calibrated: a loss that rises as a model grows too sure would else stay hidden.
    figures = figures_of(logits, rows, task)
    loss = figures.pop("loss", None)
    fit = task.calibrated(logits, rows.labels).fit
    return Validated(figures if loss is None else {"validation_loss": loss, **figures}, fit)


def figures_of(logits: NDArray[np.float32], rows: TokenRows, task: Task) -> dict[str, float]:
    """Return the task's defined figures by name: logits (rows, labels)."""
    labels = [str(i) for i in range(logits.shape[1])]
    metrics = task.scores(logits, rows.labels, labels).metrics
    return {name: metric.value for name, metric in metrics.items() if metric.value is not None}


def judge(figures: dict[str, float], state: TrainingState, settings: Settings) -> bool:
    """Note in the state what a validation showed; return whether it is the best so far.

    The best of all phases, that is. Without validation rows the newest is the best.
    """
    stopping = settings.early_stopping
    if not figures:
        state.best_step = state.step
        return True
    value = _value(figures, settings)
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


def _value(figures: dict[str, float], settings: Settings) -> float:
    usual = "macro_f1" if "macro_f1" in figures else "loss"
    metric = settings.early_stopping.metric if settings.early_stopping else usual
    value = -figures["validation_loss"] if metric == "loss" else figures[metric]
    # NaN is never better, and the resume state is JSON, which has none.
    return value if math.isfinite(value) else -sys.float_info.max
