"""State: where a run stands, as every checkpoint keeps it."""

import msgspec

from tunery_trainer.tasks import Fit


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """How a phase has ended that had validation rows to choose by."""

    phase: int
    best_value: float  # of a validation; more is better
    best_share: float  # of the phase's steps, after which that was, 0..1
    stop_reason: str | None
    fit: Fit | None = None  # of that validation


class TrainingState(msgspec.Struct, kw_only=True):
    """Where a run stands. Epoch, batch and learning rate are functions of `step` and `phase`."""

    step: int = 0  # optimizer steps done, over all phases
    phase: int = 0
    phase_began: int = 0  # at this step
    elapsed_seconds: float = 0.0  # over all attempts
    outcomes: list[Outcome] = []  # of the phases that have ended
    best_step: int | None = None  # over all phases: whose weights are kept
    best_value: float | None = None
    best_fit: Fit | None = None  # what the task has measured there
    stop_reason: str | None = None
    scaler: dict[str, int | float] = {}  # of fp16's loss scaling
    # Of this phase:
    window_loss: float = 0.0  # sum since a loss was last logged
    window_steps: int = 0
    validated_step: int = 0
    phase_best_step: int | None = None
    phase_best_value: float | None = None
    phase_best_fit: Fit | None = None
    stale_validations: int = 0  # since the best one
    borne_validations: int = 0  # since the best one, or since the rate was reduced
    reductions: int = 0  # of the learning rate, by validations that were no better

    def next_phase(self, total_steps: int) -> None:
        """End a phase of so many steps, and begin the next."""
        began, best = self.phase_began, self.phase_best_step
        if best is not None and self.phase_best_value is not None:
            self.outcomes = [
                *self.outcomes,
                Outcome(
                    phase=self.phase,
                    best_value=self.phase_best_value,
                    best_share=(best - began) / total_steps,
                    stop_reason=self.stop_reason,
                    fit=self.phase_best_fit,
                ),
            ]
        self.phase, self.phase_began = self.phase + 1, self.step
        self.stop_reason = None
        self.window_loss, self.window_steps = 0.0, 0
        self.phase_best_step = self.phase_best_value = self.phase_best_fit = None
        self.stale_validations = self.borne_validations = self.reductions = 0
