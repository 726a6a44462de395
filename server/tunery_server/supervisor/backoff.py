"""Back-off: when the next engine is started where engines die, or do not load.

The first death is mended at once, since machines hiccup; those that follow wait, each twice as
long. An engine that had served for a while was no part of a crash-loop: its death counts as a first
one, whatever the other engines of its deployment did.
"""

import time
from collections.abc import Callable

MAX_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 2.0  # of serving
_MAX_DOUBLINGS = 10  # of a second, which is beyond it


class Backoff:
    """The deaths in a row of one deployment's engines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._retry_at = clock()
        self.deaths = 0  # or loads that failed

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next start; 0 where none is due to wait."""
        return max(0.0, self._retry_at - self._clock())

    def count(self, *, loaded_at: float | None = None) -> None:
        """Count a death of an engine that was loaded at that time of the clock, or of none."""
        now = self._clock()
        if loaded_at is not None and now - loaded_at > STEADY_SECONDS:
            self.deaths = 0
        self.deaths += 1
        doubled = min(self.deaths - 2, _MAX_DOUBLINGS)
        pause = min(MAX_PAUSE_SECONDS, 2.0**doubled) if self.deaths > 1 else 0.0
        self._retry_at = now + pause

    def forget(self) -> None:
        """Begin anew: what is served is another thing."""
        self.deaths = 0
