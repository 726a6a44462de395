"""Phases: the trainings that make one run, each from the base model on.

Usually there is one. With several seeds each trains once, and the one whose best validation is the
median trains again; with a refit that last training takes the validation rows, too, and stops where
the chosen one was best. A phase is a function of what came before, so that a resumed run is in it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tunery_trainer.data import TokenRows
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.preparation import Prepared
from tunery_trainer.state import Outcome


class Phase(NamedTuple):
    """One training."""

    seed: int
    rows: TokenRows
    validation: TokenRows | None  # None in the last of several, which has nothing to choose
    steps_per_epoch: int
    total_steps: int  # of its schedule
    end_step: int  # at the latest

    @property
    def chooses(self) -> bool:
        """Whether the best of its checkpoints counts, not where it ends."""
        return self.validation is not None


def phase_of(number: int, prepared: Prepared, outcomes: Sequence[Outcome]) -> Phase | None:
    """Return a phase by its number, given the outcomes of those before it; None after the last."""
    settings, rows = prepared.settings, prepared.train
    if number < settings.seeds:
        steps = _total_steps(rows, settings)
        return Phase(
            settings.seed + number, rows, prepared.validation, _epoch(rows, settings), steps, steps
        )
    if number > settings.seeds or not (settings.refit or settings.seeds > 1):
        return None
    chosen = median_of(outcomes)
    if settings.refit:
        rows = rows.joined(prepared.validation)
    steps = _total_steps(rows, settings)
    end = max(1, round(steps * chosen.best_share))
    return Phase(settings.seed + chosen.phase, rows, None, _epoch(rows, settings), steps, end)


def steps_ahead(number: int, phase: Phase, settings: Settings) -> int:
    """Return the steps that follow a phase, if none stops early."""
    last = settings.seeds - (0 if settings.refit or settings.seeds > 1 else 1)
    return (last - number) * phase.total_steps


def median_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome in the middle; the lower one of two."""
    ranked = sorted(outcomes, key=lambda outcome: outcome.best_value)
    return ranked[(len(ranked) - 1) // 2]


def _epoch(rows: TokenRows, settings: Settings) -> int:
    return math.ceil(rows.epoch_rows / settings.batch_size)


def _total_steps(rows: TokenRows, settings: Settings) -> int:
    return settings.max_steps or _epoch(rows, settings) * settings.epochs
