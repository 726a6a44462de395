"""News: datagrams between API workers and the supervisor, each the id of what has changed.

A datagram only wakes; what has changed stands in the database. One that is lost costs a waiter
two seconds, because everyone who waits also looks again by himself.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Generator
from pathlib import Path

REPAIR_SECONDS = 2.0
SUPERVISOR = "supervisor.sock"
WORKER = "api-{pid}.sock"
WORKERS = "api-*.sock"
DEPLOYMENT = "deployment:"  # to the workers: the deployment project/name has changed
WANTED = "wanted:"  # to the supervisor: a request waits for the deployment project/name
_MAX_DATAGRAM_BYTES = 512


class Watch:
    """One waiter for one key; what arrives between two waits is not lost."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Wake the waiter."""
        self._changed.set()

    async def changed(self, timeout_seconds: float) -> None:
        """Return at the next change, and after two seconds or the timeout without one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_seconds, REPAIR_SECONDS)):
                await self._changed.wait()
        self._changed.clear()


class News:
    """The datagram socket of one API worker."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._path = run_dir / WORKER.format(pid=os.getpid())
        self._watches: dict[str, set[Watch]] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def open(self) -> None:
        """Bind the socket and listen; the event loop must be running."""
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(mask)
        # Not a datagram endpoint: uvloop knows those only for UDP.
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive)

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(ValueError):
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def on_news(self, listener: Callable[[str], None]) -> None:
        """Call a function with every key that has changed."""
        self._listeners.append(listener)

    @contextlib.contextmanager
    def watching(self, key: str) -> Generator[Watch]:
        """Watch a key: begin before reading its state, so that no change falls between."""
        watch = Watch()
        self._watches.setdefault(key, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[key]
            watches.discard(watch)
            if not watches:
                del self._watches[key]

    def tell(self, key: str) -> None:
        """Wake whoever waits for a key in this worker."""
        for listener in self._listeners:
            listener(key)
        for watch in self._watches.get(key, ()):
            watch.notify()

    def tell_workers(self, key: str) -> None:
        """Wake whoever waits for a key in any worker; in this one at once."""
        self.tell(key)
        for path in self._run_dir.glob(WORKERS):
            if path != self._path:
                with contextlib.suppress(OSError):
                    self._socket.sendto(key.encode(), str(path))

    def tell_all(self) -> None:
        """Wake everyone: the worker is stopping."""
        for watches in self._watches.values():
            for watch in watches:
                watch.notify()

    def wake(self) -> None:
        """Tell the supervisor that there is work; it looks by itself if it can't be told."""
        with contextlib.suppress(OSError):
            self._socket.sendto(b"wake", str(self._run_dir / SUPERVISOR))

    def want(self, owner: str) -> None:
        """Tell the supervisor that a request waits for a deployment that is idle."""
        with contextlib.suppress(OSError):
            self._socket.sendto(f"{WANTED}{owner}".encode(), str(self._run_dir / SUPERVISOR))

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while True:
                self.tell(self._socket.recv(_MAX_DATAGRAM_BYTES).decode(errors="replace"))
