"""Validation: what the model in training says about the validation split.

Owns the forward passes without gradients and the choice of what counts as better. Draws no random
number, so that a run with more validations trains the same.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tunery.types import PlateauSchedule
from tunery_trainer.checkpoint import TrainingState
from tunery_trainer.data import TokenRows
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.padding import BATCH_ROWS, MAX_TOKENS, length_batches
from tunery_trainer.tasks import Task


def validate(
    classifier: Any,
    rows: TokenRows,
    task: Task,
    *,
    max_length: int,
    pad_id: int,
    device: torch.device,
    alive: Callable[[], None],
) -> dict[str, float]:
    """Return validation_loss and the figures of the task; nothing where there are no rows.

    `alive` is called before each batch, and may raise to end the validation.
    """
    if not len(rows):
        return {}
    found = []
    batches = length_batches(
        np.minimum(rows.lengths, max_length),
        max_rows=BATCH_ROWS,
        max_tokens=MAX_TOKENS[device.type],
    )
    classifier.eval()
    try:
        for indices in batches:
            alive()
            batch = rows.batch(indices, max_length=max_length, pad_id=pad_id, device=device)
            with torch.inference_mode():
                logits = classifier(batch.input_ids, batch.attention_mask)  # (B, C)
            found.append(logits.float().cpu().numpy())
    finally:
        classifier.train()
    labels = [str(i) for i in range(found[0].shape[1])]
    targets = rows.labels[np.concatenate(batches)]
    metrics = task.scores(np.concatenate(found), targets, labels).metrics
    figures = {name: metric.value for name, metric in metrics.items() if metric.value is not None}
    loss = figures.pop("loss", None)
    return figures if loss is None else {"validation_loss": loss, **figures}


def judge(figures: dict[str, float], state: TrainingState, settings: Settings) -> bool:
    """Note in the state what a validation showed; return whether it is the best so far.

    Without validation rows the newest is the best.
    """
    stopping = settings.early_stopping
    state.validated_step = state.step
    if not figures:
        state.best_step, state.best_value = state.step, 0.0
        return True
    value = _value(figures, settings)
    min_delta = stopping.min_delta if stopping else 0.0
    if state.best_value is None or value > state.best_value + min_delta:
        state.best_step, state.best_value = state.step, value
        state.stale_validations = state.borne_validations = 0
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
    metric = settings.early_stopping.metric if settings.early_stopping else "macro_f1"
    value = -figures["validation_loss"] if metric == "loss" else figures[metric]
    # NaN is never better, and the resume state is JSON, which has none.
    return value if math.isfinite(value) else -sys.float_info.max
