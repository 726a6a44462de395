"""Applicability: what says nothing to a task, and what hyperparameters are there.

The server refuses them where they are asked for, the trainer resolves `auto` by it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tunery.types import Hyperparameters, RecipeChoice, Task
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


class Unfit(NamedTuple):
    """A hyperparameter that was asked for and does not fit the task."""

    name: str
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


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
