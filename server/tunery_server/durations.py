"""Durations: what a fine-tune would take, by what one that has succeeded took.

A step costs by its tokens, a validation by its tokens and its checkpoint, and the rest (start,
first step, export) as much as it did. Nothing is calibrated: where nothing was measured, nothing is
said.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from tunery.types import Hyperparameters, Measured, Resolved
from tunery_trainer.protocol.wire import Forecasted

_ALIKE = ("precision", "threads", "freeze", "peft", "gradient_checkpointing", "optimizer")
_FORWARD = 3.0  # times the pace of training: the way back costs twice the way there


def measured_by(
    rows: Sequence[Row[Any]],
    *,
    lineage: Sequence[str],
    device: str,
    resolved: dict[str, Resolved],
) -> tuple[Row[Any], Measured] | None:
    """Return the job that is most like a run, newest first, and its pace; None where none is.

    `rows` are fine-tunes that succeeded at their first attempt, so that their time is all theirs.
    A version takes as long as what it was made from: `lineage` names them all.
    """
    found: tuple[Row[Any], Measured] | None = None
    for row in rows:
        pace = None if row.progress is None else row.progress.pace
        if pace is None or pace.device != device or row.spec["base_model"] not in lineage:
            continue
        if row.spec.get("dry_run") or not pace.training_tokens or not pace.training_seconds:
            continue
        alike = all(
            name in row.resolved and row.resolved[name].value == resolved[name].value
            for name in _ALIKE
        )
        if found is None or alike:
            rate = pace.training_tokens / pace.training_seconds
            found = (
                row,
                Measured(job=row.id, device=device, tokens_per_second=rate, alike=alike),
            )
        if alike:
            break
    return found


def seconds_of(forecast: Forecasted, row: Row[Any], asked: Hyperparameters) -> float:
    """Return the seconds from start to version of a run, at the pace of a job."""
    pace = row.progress.pace
    rate = pace.training_tokens / pace.training_seconds
    whole = (row.finished_at - row.started_at).total_seconds()
    rest = max(0.0, whole - pace.training_seconds - pace.validation_seconds)
    saving = max(0.0, pace.validation_seconds - pace.validation_tokens / (_FORWARD * rate))
    saving /= max(1, pace.validations)
    validating = forecast.validation_tokens / (_FORWARD * rate) + forecast.validations * saving
    stepping = forecast.tokens / rate + validating
    if asked.max_minutes is not None:
        stepping = min(stepping, asked.max_minutes * 60)
    return float(rest + stepping)
