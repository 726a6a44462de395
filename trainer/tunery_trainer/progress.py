"""Progress: proof of life of the work itself, at most one event a second.

Owns the clock of a run, the estimate of what is left, and the pace that forecasts are made from.
Steps come from the caller.
"""

import time
from collections.abc import Callable

from msgspec.structs import replace

from tunery.types import Pace, Progress
from tunery_trainer.protocol.events import AnyEvent, ProgressMade

INTERVAL_SECONDS = 1.0  # the supervisor expects an event every two


class ProgressMeter:
    """Says how far a run is, and how fast it goes."""

    def __init__(self, emit: Callable[[AnyEvent], None], *, device: str | None = None) -> None:
        self._emit = emit
        self._phase = ""
        self._emitted_at = -INTERVAL_SECONDS
        self._window_began_at = time.monotonic()
        self._window_examples = 0
        self._window_steps = 0
        self._marked_at = time.monotonic()
        self._device = device  # of what has a pace: the steps of a fine-tune
        self._pace = Pace(device=device or "")
        self._last = Progress(phase="")

    def enter(self, phase: str) -> None:
        """Begin a phase; always said at once."""
        seconds = self._lap()
        if self._phase == "validating":
            self._pace = replace(
                self._pace, validation_seconds=self._pace.validation_seconds + seconds
            )
        if phase == "validating":
            self._pace = replace(self._pace, validations=self._pace.validations + 1)
        self._phase = phase
        self._window_began_at = self._marked_at
        self._window_examples = self._window_steps = 0
        self._say()

    def validating(self, *, tokens: int) -> None:
        """Count what a validation passes."""
        passed = self._pace.validation_tokens + tokens
        self._pace = replace(self._pace, validation_tokens=passed)

    def alive(self) -> None:
        """Say that the phase goes on, if nothing was said for a second."""
        if time.monotonic() - self._emitted_at >= INTERVAL_SECONDS:
            self._say()

    def stepped(
        self, *, step: int, total_steps: int, epoch: float, examples: int, tokens: int = 0
    ) -> None:
        """Count one optimizer step, which passed so many tokens with padding."""
        lap = self._lap()
        if self._last.total_steps:  # the first step warms up, and looks at the untrained model
            self._pace = replace(
                self._pace,
                training_seconds=self._pace.training_seconds + lap,
                training_tokens=self._pace.training_tokens + tokens,
            )
        self._window_steps += 1
        self._window_examples += examples
        seconds = self._marked_at - self._window_began_at
        self._last = Progress(
            phase=self._phase,
            step=step,
            total_steps=total_steps,
            epoch=epoch,
            examples_per_second=self._window_examples / seconds,
            eta_seconds=max(0, total_steps - step) * seconds / self._window_steps,
        )
        self.alive()

    def _lap(self) -> float:
        """Return the seconds since the last lap."""
        began_at, self._marked_at = self._marked_at, time.monotonic()
        return self._marked_at - began_at

    def _say(self) -> None:
        self._emitted_at = time.monotonic()
        pace = self._pace if self._device else None
        progress = replace(self._last, phase=self._phase, pace=pace)
        self._emit(ProgressMade(progress=progress))
