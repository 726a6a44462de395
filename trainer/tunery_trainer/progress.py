"""Progress: proof of life of the work itself, at most one event a second.

Owns the clock of a run and the estimate of what is left. Steps come from the caller.
"""

import time
from collections.abc import Callable

from tunery.types import Progress
from tunery_trainer.protocol.events import AnyEvent, ProgressMade

INTERVAL_SECONDS = 1.0  # the supervisor expects an event every two


class ProgressMeter:
    """Says how far a run is, and how fast it goes."""

    def __init__(self, emit: Callable[[AnyEvent], None]) -> None:
        self._emit = emit
        self._phase = ""
        self._emitted_at = -INTERVAL_SECONDS
        self._window_began_at = time.monotonic()
        self._window_examples = 0
        self._window_steps = 0
        self._last = Progress(phase="")

    def enter(self, phase: str) -> None:
        """Begin a phase; always said at once."""
        self._phase = phase
        self._window_began_at = time.monotonic()
        self._window_examples = self._window_steps = 0
        self._say()

    def alive(self) -> None:
        """Say that the phase goes on, if nothing was said for a second."""
        if time.monotonic() - self._emitted_at >= INTERVAL_SECONDS:
            self._say()

    def stepped(self, *, step: int, total_steps: int, epoch: float, examples: int) -> None:
        """Count one optimizer step."""
        self._window_steps += 1
        self._window_examples += examples
        seconds = time.monotonic() - self._window_began_at
        self._last = Progress(
            phase=self._phase,
            step=step,
            total_steps=total_steps,
            epoch=epoch,
            examples_per_second=self._window_examples / seconds,
            eta_seconds=max(0, total_steps - step) * seconds / self._window_steps,
        )
        self.alive()

    def _say(self) -> None:
        self._emitted_at = time.monotonic()
        self._emit(
            ProgressMade(
                progress=Progress(
                    phase=self._phase,
                    step=self._last.step,
                    total_steps=self._last.total_steps,
                    epoch=self._last.epoch,
                    examples_per_second=self._last.examples_per_second,
                    eta_seconds=self._last.eta_seconds,
                )
            )
        )
