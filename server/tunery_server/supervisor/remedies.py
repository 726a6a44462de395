"""Remedies: what a failed attempt of a fine-tune changes, so that the next one may succeed.

Each is bounded: micro-batches end at one row, and the learning rate is halved once.
"""

import math
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row

from tunery.types import FinetuneSpec, Resolved

AFTER_MEMORY = "auto:out-of-memory"
AFTER_NON_FINITE = "auto:non-finite-loss"


class Remedy(NamedTuple):
    """What is tried next."""

    message: str
    resolved: dict[str, Resolved]


def remedy_of(job: Row[Any], code: str) -> Remedy | None:
    """Return what may help a fine-tune that failed with this code; None if nothing does.

    `job` is the row as the failed attempt has left it, with what it resolved.
    """
    if job.kind != "finetune" or not job.resolved:
        return None
    if code == "out-of-memory":
        return _smaller_micro_batch(job.resolved)
    if code == "non-finite-loss":
        asked = msgspec.convert(job.spec, FinetuneSpec).hyperparameters.on_non_finite
        return _lower_rate(job.resolved) if asked == "rollback" else None
    return None


def _smaller_micro_batch(resolved: dict[str, Resolved]) -> Remedy | None:
    batch = _number(resolved, "batch_size")
    parts = _number(resolved, "gradient_accumulation_steps")
    rows = math.ceil(batch / parts)
    if rows <= 1:
        return None
    more = min(batch, 2 * parts)
    return Remedy(
        f"memory ran out with {rows} rows a pass; it goes on with {math.ceil(batch / more)}, and "
        f"{batch:g} an optimizer step as before",
        {"gradient_accumulation_steps": Resolved(value=int(more), source=AFTER_MEMORY)},
    )


def _lower_rate(resolved: dict[str, Resolved]) -> Remedy | None:
    if resolved["learning_rate"].source == AFTER_NON_FINITE:
        return None  # it did not help
    halved = {
        name: Resolved(value=_number(resolved, name) / 2, source=AFTER_NON_FINITE)
        for name in ("learning_rate", "head_learning_rate")
    }
    rate = halved["learning_rate"].value
    return Remedy(
        f"the loss was no number; it goes back to the last checkpoint, with learning_rate {rate:g}",
        halved,
    )


def _number(resolved: dict[str, Resolved], name: str) -> float:
    value = resolved[name].value
    assert isinstance(value, int | float)
    return value
