"""Applicability: what says nothing to a task, and what hyperparameters are there.

The server refuses them where they are asked for, the trainer resolves `auto` by it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from tunery.types import Abstain, AbstainByPrecision, Hyperparameters, RecipeChoice, Task
from tunery_trainer.protocol.recipes import SCRATCH_OFF

# What a task has no use for.
OFF: dict[Task, dict[str, bool | float | str]] = {
    "text_classification": {},
    "multi_label": {"linear_probe": False, "label_names": False, "label_smoothing": 0.0},
    "regression": {
        "linear_probe": False,
        "label_names": False,
        "label_smoothing": 0.0,
        "imbalance": "none",
    },
}

CONFIDENCE = 0.9  # with which validation rows show a precision, one-sided


class Unfit(NamedTuple):
    """A hyperparameter that was asked for and does not fit the task."""

    name: str
    message: str


class Unmet(NamedTuple):
    """Why thresholds can't be fitted as it is wanted."""

    code: str
    message: str


def unfit(task: Task, recipe: RecipeChoice, asked: Hyperparameters) -> Iterator[Unfit]:
    """Yield what was asked for, and means nothing for a task, or for the recipe `scratch`."""
    useless = [(task, OFF[task]), *([("scratch", SCRATCH_OFF)] if recipe == "scratch" else [])]
    for where, values in useless:
        for name, off in values.items():
            value = getattr(asked, name)
            if value not in ("auto", off):
                yield Unfit(name, f"{name} {_told(value)} is not for {where}; leave it out")
    if task == "multi_label" and asked.imbalance == "class_weights_and_sampling":
        yield Unfit("imbalance", "rows of several labels are not sampled; use class_weights")


def unfit_abstention(
    task: Task, wanted: Abstain, validation_rows: int, asked: Hyperparameters
) -> Unmet | None:
    """Return why thresholds can't be fitted as it is wanted; None where they can."""
    if task == "regression":
        return Unmet("not-for-task", "a number has no score to abstain by; leave abstain out")
    if task == "multi_label" and not isinstance(wanted, AbstainByPrecision):
        return Unmet("not-for-task", "multi_label abstains label by label, by precision alone")
    if asked.train_on_validation is True:
        message = "abstain is fitted to validation rows; leave train_on_validation out"
        return Unmet("schema-violation", message)
    needed = 1
    if isinstance(wanted, AbstainByPrecision) and task == "text_classification":
        needed = rows_to_show(wanted.precision)
    if validation_rows < needed:
        message = f"abstain takes {needed} validation rows at the least; there are"
        return Unmet("too-few-validation-rows", f"{message} {validation_rows}")
    return None


def rows_to_show(precision: float) -> int:
    """Return how many rows, all of them answered right, show a precision at the least."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(precision))


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
