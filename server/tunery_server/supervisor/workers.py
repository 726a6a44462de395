"""API workers: kept alive on the socket that the supervisor has bound."""

import asyncio
import logging
import time
from pathlib import Path

import msgspec

from tunery_server.news import WORKER
from tunery_server.settings import Settings
from tunery_server.supervisor.child import Child, Nursery

logger = logging.getLogger(__name__)

RESTART_SECONDS = 0.5  # before a dead worker is replaced
STEADY_SECONDS = 10.0  # a worker that lived so long has started well
MAX_FALSE_STARTS = 5  # in a row


class WorkersKeepDying(Exception):
    """No worker comes up: the service would only pretend to run."""


class Workers:
    """All API workers of this life."""

    def __init__(
        self, settings: Settings, nursery: Nursery, descriptor: int, incoming: Path
    ) -> None:
        self._settings = settings
        self._incoming = incoming
        self._nursery = nursery
        self._descriptor = descriptor
        self._migrated = asyncio.Event()
        self._draining = False
        self._running: set[Child] = set()
        self._false_starts = 0

    def go(self) -> None:
        """Let the workers serve: the database is what they expect."""
        self._migrated.set()

    def drain(self) -> None:
        """Let go of all workers; none is replaced any more."""
        self._draining = True
        for worker in self._running:
            worker.release()

    def kill(self) -> None:
        """End the workers that are still there."""
        for worker in self._running:
            worker.kill()

    async def keep_one(self) -> None:
        """Keep one worker alive until the service drains.

        Raises:
            WorkersKeepDying: they die before they have begun; the message is their log's end.
        """
        while not self._draining:
            began = time.monotonic()
            child, code = await self._run_one()
            if self._draining:
                return
            await asyncio.to_thread(self._tidy, child.pid)
            logger.warning("an API worker ended with code %d; it is replaced", code)
            steady = time.monotonic() - began > STEADY_SECONDS
            self._false_starts = 0 if steady else self._false_starts + 1
            if self._false_starts >= MAX_FALSE_STARTS:
                raise WorkersKeepDying(child.log_tail())
            await asyncio.sleep(RESTART_SECONDS)

    def _tidy(self, pid: int) -> None:
        """Remove the bodies that a dead worker was receiving, and the socket of its news."""
        (self._settings.run_dir / WORKER.format(pid=pid)).unlink(missing_ok=True)
        for path in self._incoming.glob(f"{pid}-*"):
            path.unlink(missing_ok=True)

    async def _run_one(self) -> tuple[Child, int]:
        settings_path = self._settings.run_dir / "settings.json"
        settings_path.write_bytes(msgspec.json.encode(self._settings))
        child = await self._nursery.spawn(
            ["tunery_server", "api", str(settings_path), str(self._descriptor)],
            log=self._settings.log_dir / "api.log",
            pass_fds=[self._descriptor],
        )
        self._running.add(child)
        try:
            # It imports while the database is brought up to date.
            await self._migrated.wait()
            await self._nursery.record(child, role="api", owner="api")
            child.say("go")
            if self._draining:
                child.release()
            return child, await self._nursery.bury(child)
        except BaseException:
            child.kill()
            raise
        finally:
            self._running.discard(child)
