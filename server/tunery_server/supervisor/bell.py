"""Wake-ups: a datagram from the API rings the bell, news go out to every API worker.

One that says which deployment a request waits for rings no bell: it goes to who can bring it back.

A datagram may be lost; whoever waits also looks again every REPAIR_SECONDS.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from tunery_server.news import REPAIR_SECONDS, SUPERVISOR, WANTED, WORKERS


class Bell:
    """Wakes all who wait, inside this process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.rings = 0  # note it before reading the database: a ring meanwhile is not lost

    def ring(self) -> None:
        """Wake all who wait now."""
        self.rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, heard: int) -> None:
        """Wait for a ring beyond those heard, or for the poll that repairs a lost one."""
        if self.rings == heard:
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets a ring.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPAIR_SECONDS):
                    await self._event.wait()


class Datagrams:
    """The supervisor's end: rings the bell on every datagram, tells workers what has changed."""

    def __init__(self, run_dir: Path, bell: Bell) -> None:
        self._run_dir = run_dir
        self._bell = bell
        self._on_wanted: Callable[[str], None] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(run_dir / SUPERVISOR))
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def tell(self, changed: str) -> None:
        """Tell every API worker that a resource has changed; one that is gone is no matter."""
        for path in self._run_dir.glob(WORKERS):
            with contextlib.suppress(OSError):
                self._socket.sendto(changed.encode(), str(path))

    def on_wanted(self, listener: Callable[[str], None]) -> None:
        """Call a function with every `project/name` that a request waits for."""
        self._on_wanted = listener

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                said = self._socket.recv(256).decode(errors="replace")
                if not said.startswith(WANTED):
                    self._bell.ring()
                elif self._on_wanted is not None:
                    self._on_wanted(said.removeprefix(WANTED))
