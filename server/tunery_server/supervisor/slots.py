"""Slots: the devices of the train lane, and the warm spares that wait on them.

A spare is a trainer that has imported torch and waits for its spec, so that a fine-tune's first
step comes at once. It is used once and replaced: memory comes back by process exit.
"""

import asyncio
import logging
import time
from pathlib import Path

from tunery_server.supervisor.child import Child, Nursery
from tunery_trainer.protocol.events import Listening

logger = logging.getLogger(__name__)

WARMING_SECONDS = 30.0  # for a spare that is on its way
MAX_PAUSE_SECONDS = 300.0  # between spares that die


class Slot:
    """One device and its spare."""

    def __init__(
        self, device: str, nursery: Nursery, log_dir: Path, *, threads: int, warm: bool
    ) -> None:
        self.device = device
        self.busy = False  # with a job
        self._nursery = nursery
        self._log_dir = log_dir
        self._threads = threads
        self._warm = warm
        self._spare: Child | None = None
        self._warming: asyncio.Task[None] | None = None
        self._pause = 1.0  # seconds, doubled with each spare that dies
        self._not_before = 0.0

    def warm_up(self) -> None:
        """Begin to start a spare, unless there is one."""
        busy = self._spare is not None or (self._warming is not None and not self._warming.done())
        if self._warm and not busy and time.monotonic() >= self._not_before:
            self._warming = asyncio.create_task(self._start_spare())

    async def start(self, spec: Path, *, owner: str, log: Path, threads: int) -> Child:
        """Start a trainer on this slot: the spare, if it is ready and fits."""
        if self._warming is not None:
            # A spare on its way is sooner there than a second one beside it.
            _, late = await asyncio.wait([self._warming], timeout=WARMING_SECONDS)
            for task in late:
                task.cancel()
        spare, self._spare = self._spare, None
        # Its pools are made for `self._threads`; the trainer takes as many of them as it is told.
        if spare is not None and not spare.ended and threads <= self._threads:
            log.parent.mkdir(parents=True, exist_ok=True)
            spare.take_up(spec, log)
            return spare
        if spare is not None:
            await self._end(spare)
        return await self._nursery.start(
            ["tunery_trainer", str(spec)],
            role="job",
            owner=owner,
            log=log,
            variables=self._variables(threads),
            niced=True,
        )

    async def close(self) -> None:
        """End the spare."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        if self._spare is not None:
            await self._end(self._spare)
            self._spare = None

    async def _start_spare(self) -> None:
        child = await self._nursery.start(
            ["tunery_trainer", "--spare"],
            role="spare",
            owner=self.device,
            log=self._log_dir / f"spare-{self.device.replace(':', '-')}.log",
            variables=self._variables(self._threads),
            niced=True,
        )
        try:
            async for event in child.events():
                if isinstance(event, Listening):
                    self._spare, self._pause = child, 1.0
                    return
            logger.warning("a spare died: %s", child.log_tail())
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            self._not_before = time.monotonic() + self._pause
            await self._nursery.bury(child)
        except asyncio.CancelledError:
            await self._end(child)
            raise

    async def _end(self, child: Child) -> None:
        child.kill()
        await self._nursery.bury(child)

    def _variables(self, threads: int) -> dict[str, str]:
        variables = {"OMP_NUM_THREADS": str(threads)}
        if self.device.startswith("cuda:"):
            variables["CUDA_VISIBLE_DEVICES"] = self.device.partition(":")[2]
        return variables
