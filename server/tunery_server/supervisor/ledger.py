"""The ledger: what all processes of this life have counted, also those that have ended.

A process that is killed loses what it had counted since it was last read; nothing goes backwards.
"""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Protocol

import msgspec

from tunery_server.artifacts import Artifacts
from tunery_server.figures import (
    WORKERS,
    EngineState,
    Owner,
    Seconds,
    ServiceFigures,
    WorkerFigures,
    add,
    observe,
    read,
)
from tunery_server.settings import Settings
from tunery_server.supervisor.slots import Slot
from tunery_trainer.protocol.figures import EngineFigures, resident_bytes
from tunery_trainer.protocol.wire import Pong

READ_SECONDS = 1.0  # for a process to answer; one that loads a version may be busy for longer


class Counting(Protocol):
    """An engine that is alive."""

    owner: str  # project/deployment
    pong: Pong | None  # as it answered last

    async def ask(self) -> Pong | None:
        """Ask how it is; None where it does not answer."""
        ...


class Ledger:
    """The figures of the service."""

    def __init__(self, settings: Settings, artifacts: Artifacts) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self.slots: list[Slot] = []
        self._engines: list[Counting] = []
        self._done: dict[Owner, EngineFigures] = {}  # by engines that have ended
        self._workers: dict[Path, WorkerFigures] = {}
        self._predictions: Seconds = {}  # of workers that have ended
        self._swaps: Seconds = {}
        self._deaths: Counter[Owner] = Counter()
        self._reading = asyncio.Lock()

    def engine_began(self, engine: Counting) -> None:
        """Count with an engine from now on."""
        self._engines.append(engine)

    def engine_ended(self, engine: Counting) -> None:
        """Keep what an engine had counted, once."""
        if engine in self._engines:
            self._engines.remove(engine)
            _count(self._done, engine)

    def engine_died(self, owner: str) -> None:
        """Count an engine that ended by itself, and is replaced."""
        self._deaths[_split(owner)] += 1

    def swapped(self, owner: str, outcome: str, seconds: float) -> None:
        """Count what was deployed, or the code of why it was not."""
        observe(self._swaps, (*_split(owner), outcome), seconds)

    async def figures(self) -> ServiceFigures:
        """Return the figures of this moment."""
        async with self._reading:
            states = await asyncio.gather(*(self._state(engine) for engine in self._engines))
            workers = await asyncio.gather(
                *(self._worker(path) for path in self._settings.run_dir.glob(WORKERS))
            )
            sizes = await asyncio.to_thread(self._artifacts.sizes)
        return ServiceFigures(
            resident_bytes=resident_bytes(),
            workers=[worker.resident_bytes for worker in workers if worker is not None],
            predictions=self._all_predictions(),
            engines=[state for state in states if state is not None],
            done=self._all_done(),
            swaps=self._swaps,
            deaths=self._deaths,
            slots={slot.device: slot.busy for slot in self.slots},
            artifact_bytes=sizes,
            free_bytes=shutil.disk_usage(self._settings.root).free,
        )

    async def _state(self, engine: Counting) -> EngineState | None:
        pong = await engine.ask()
        if pong is None:
            return None
        return EngineState(
            owner=_split(engine.owner),
            held_tokens=pong.held_tokens,
            oldest_seconds=pong.oldest_seconds,
            resident_bytes=pong.resident_bytes,
            device_bytes=pong.device_bytes,
        )

    async def _worker(self, path: Path) -> WorkerFigures | None:
        try:
            worker = await read(path, WorkerFigures, timeout_seconds=READ_SECONDS)
        except ConnectionRefusedError:
            self._worker_ended(path)
            return None
        except (OSError, msgspec.DecodeError):
            return None
        self._workers[path] = worker
        return worker

    def _worker_ended(self, path: Path) -> None:
        """Keep what a worker had counted whose process has left its socket behind."""
        add(self._predictions, self._workers.pop(path, WorkerFigures()).predictions)
        path.unlink(missing_ok=True)

    def _all_predictions(self) -> Seconds:
        total: Seconds = {}
        for part in (self._predictions, *(each.predictions for each in self._workers.values())):
            add(total, part)
        return total

    def _all_done(self) -> dict[Owner, EngineFigures]:
        total: dict[Owner, EngineFigures] = {}
        for owner, figures in self._done.items():
            total.setdefault(owner, EngineFigures()).add(figures)
        for engine in self._engines:
            _count(total, engine)
        return total


def _count(done: dict[Owner, EngineFigures], engine: Counting) -> None:
    if engine.pong is not None and engine.pong.figures is not None:
        done.setdefault(_split(engine.owner), EngineFigures()).add(engine.pong.figures)


def _split(owner: str) -> Owner:
    project, _, deployment = owner.partition("/")
    return project, deployment
