"""The drain: what a worker that stops still does for whom.

It begins by saying 503 at /health/ready, so that nobody sends more; then it closes, and new
requests are refused; when those that had begun are answered, the worker ends.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator


class Drain:
    """The requests of one worker, and whether new ones are taken."""

    def __init__(self) -> None:
        self.begun = False
        self.closed = False
        self._listeners: list[Callable[[], None]] = []
        self._begin = asyncio.Event()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def on_begin(self, listener: Callable[[], None]) -> None:
        """Call a function when it begins."""
        self._listeners.append(listener)

    def begin(self) -> None:
        """Begin, once."""
        if self.begun:
            return
        self.begun = True
        self._begin.set()
        for listener in self._listeners:
            listener()

    @contextlib.contextmanager
    def request(self) -> Generator[None]:
        """Hold the end up while a request runs."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def ended(self, *, unready_seconds: float, patience_seconds: float) -> None:
        """Return when it has begun and all requests are answered, or patience is at its end."""
        await self._begin.wait()
        await asyncio.sleep(unready_seconds)
        self.closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._idle.wait()
