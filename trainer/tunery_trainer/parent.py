"""The parent: a version that a fine-tune begins with, and what of its head goes into the new one.

Rows go by the names of their labels, where both heads answer the same task about the same kind of
rows; otherwise the encoder is all that is taken. Imports no torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tunery.types import Task
from tunery_trainer.model_files import ModelFacts, read_facts

_VALUE = "value"  # how the one output of a task without labels is called
_SHOWN = 5  # names in a message


class Parent(NamedTuple):
    """The version, and what is taken of its head."""

    model_dir: Path
    facts: ModelFacts
    rows: list[int | None]  # for each output of the new head the parent's, null where it is new
    new: list[str]  # labels
    dropped: list[str]

    @property
    def kept(self) -> int:
        """Return how many rows of its head are taken."""
        return len(self.rows) - len(self.new)

    @property
    def story(self) -> str:
        """Return what is taken, for people."""
        of = self.kept + len(self.dropped)
        return (
            f"kept: the encoder and {self.kept} of {of} rows of the head; "
            f"new: {_named(self.new)}; dropped: {_named(self.dropped)}"
        )


def parent_of(
    model_dir: Path, *, task: Task, labels: Sequence[str], pairs: bool, new_head: bool
) -> Parent:
    """Return what a version gives to a fine-tune on rows of a task; with `new_head` its encoder."""
    facts = read_facts(model_dir)
    own, wanted = facts.labels or [_VALUE], list(labels) or [_VALUE]
    alike = (facts.task, facts.pairs) == (task, pairs) and not new_head
    place = {label: i for i, label in enumerate(own)} if alike else {}
    kept = place.keys() & set(wanted)
    return Parent(
        model_dir,
        facts,
        rows=[place.get(label) for label in wanted],
        new=[label for label in wanted if label not in kept],
        dropped=[label for label in own if label not in kept],
    )


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(map(repr, labels[:_SHOWN])) + more or "none"
