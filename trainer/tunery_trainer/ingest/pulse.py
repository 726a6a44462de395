"""Pulse: proof of life while the work goes on, and the place where it stops when it should."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tunery.types import Progress
from tunery_trainer.protocol.events import AnyEvent, ProgressMade

_EVERY_SECONDS = 1.0  # the protocol allows two
_CHUNK_ROWS = 1024

Item = TypeVar("Item")


class LeashReleased(Exception):
    """The supervisor has asked to finish."""


class Pulse:
    """Reports progress about once a second, and looks at the leash as often as it is asked to."""

    def __init__(
        self, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
    ) -> None:
        self._emit = emit
        self._leash_released = leash_released
        self._phase = ""
        self._phase_began = 0.0
        self._spoke = 0.0

    def beat(self, phase: str, done: int, total: int = 0) -> None:
        """Say how many rows of a phase are done; a new phase is said at once.

        Raises:
            LeashReleased: it is time to go.
        """
        if self._leash_released():
            raise LeashReleased
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_began = phase, now
        elif now - self._spoke < _EVERY_SECONDS:
            return
        self._spoke = now
        elapsed = now - self._phase_began
        rate = done / elapsed if elapsed > 0 else None
        progress = Progress(phase=phase, step=done, total_steps=total, examples_per_second=rate)
        self._emit(ProgressMade(progress=progress))

    def over(self, phase: str, items: Iterable[Item], total: int = 0) -> Iterator[Item]:
        """Yield the items, with a beat before every chunk of them."""
        for i, item in enumerate(items):
            if i % _CHUNK_ROWS == 0:
                self.beat(phase, i, total)
            yield item
