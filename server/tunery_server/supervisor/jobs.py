"""Jobs: one claimed attempt from its spec to its end.

Execution is at-least-once, publication exactly-once: what an attempt made is published in the
transaction that moves the job along its edge (attempt.py).
"""

import asyncio
import errno
import logging
import shutil
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import Row

from tunery.types import PARQUET
from tunery_server import disk
from tunery_server.db.engine import Database
from tunery_server.db.queries import label_issues
from tunery_server.settings import Settings
from tunery_server.supervisor.attempt import Attempt, Outcome, Tell
from tunery_server.supervisor.child import Child, Nursery
from tunery_server.supervisor.event_file import EventFile, resumed_step
from tunery_server.supervisor.oom import memory_ran_out, oom_kills
from tunery_server.supervisor.publish import Publisher
from tunery_server.supervisor.specs import SpecImpossible, SpecWriter
from tunery_trainer.protocol.events import (
    Interrupted,
    ProgressMade,
)
from tunery_trainer.protocol.specs import AnyRun, FinetuneRun, IngestRun

logger = logging.getLogger(__name__)

STARTING_SECONDS = 60.0  # for a child to import what it needs
STALL_FACTOR = 10  # times the longest silence so far


class StartChild(Protocol):
    """Starts the child of an attempt, on a slot or off it."""

    async def __call__(self, spec: Path, *, owner: str, log: Path, threads: int) -> Child:
        """Return the running child."""
        ...


class JobRunner:
    """Runs claimed attempts, and lets go of them when the user or the operator says so."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        nursery: Nursery,
        specs: SpecWriter,
        publisher: Publisher,
        tell: Tell,
    ) -> None:
        self._settings = settings
        self._database = database
        self._nursery = nursery
        self._specs = specs
        self._publisher = publisher
        self._tell = tell
        self._children: dict[str, Child] = {}
        self._closing = False
        self._stopping: set[asyncio.Task[None]] = set()

    def release(self, job_id: str) -> None:
        """Let go of a job's leash; the child saves and exits, or is killed in the end."""
        child = self._children.get(job_id)
        if child is not None:
            child.let_go = True
            task = asyncio.create_task(child.stop(self._settings.stop_seconds))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def release_all(self) -> None:
        """Let go of every job: the service stops."""
        self._closing = True
        for job_id in list(self._children):
            self.release(job_id)

    async def run(
        self, job: Row[Any], *, device: str, threads: int, start: StartChild | None = None
    ) -> None:
        """Run one claimed attempt to its end."""
        self._tell(job.id)
        work = self._settings.work_dir / f"{job.id}-{job.attempt}"
        attempt = Attempt(job, self._database, self._publisher, self._tell, work)
        try:
            work.mkdir(parents=True, mode=0o700)
            threads = int(_resolved_threads(job) or threads)
            spec = await self._spec(job, work, attempt, device=device, threads=threads)
            attempt.parses_parquet = _parses_parquet(spec)
            if isinstance(spec, FinetuneRun) and (lacking := self._lacking_disk(spec)):
                await attempt.park(lacking)
                return
            attempt.event_file = EventFile(
                self._settings.log_dir / job.id,
                attempt=job.attempt,
                after_step=resumed_step(spec),
            )
            spec_path = work / "spec.json"
            spec_path.write_bytes(msgspec.json.encode(spec))
            log = self._settings.log_dir / job.id / f"attempt-{job.attempt}.log"
            begin = start or self._start_plain
            child = await begin(spec_path, owner=job.id, log=log, threads=threads)
            self._children[job.id] = child
            killed_before = oom_kills()
            try:
                if self._closing or not await attempt.is_wanted():
                    self.release(job.id)
                outcome = await self._follow(child, attempt)
            finally:
                self._children.pop(job.id, None)
                child.kill()
                code = await self._nursery.bury(child)
            if outcome is None and not attempt.stalled:
                attempt.out_of_memory = memory_ran_out(code, child.log, killed_before)
            if outcome is None and child.let_go:
                outcome = Interrupted(step=0)  # it was too slow to say so: no death of its own
            await attempt.end(outcome, code, child.log_tail())
        except SpecImpossible as error:
            await attempt.fail(error.code, str(error), None)
        except OSError as error:
            logger.exception("%s attempt %d", job.id, job.attempt)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                await attempt.park(f"what it made could not be kept: {error}")
            else:
                await attempt.lost(f"{type(error).__name__}: {error}")
        except Exception as error:  # one job's mishap must not end the service
            logger.exception("%s attempt %d", job.id, job.attempt)
            await attempt.lost(f"{type(error).__name__}: {error}")
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
            self._tell(job.id)
            if job.dataset is not None:
                self._tell(job.dataset)

    async def _spec(
        self, job: Row[Any], work: Path, attempt: "Attempt", *, device: str, threads: int
    ) -> AnyRun:
        async with self._database.read() as connection:
            if job.kind == "ingest":
                return await self._specs.ingest(connection, job, work)
            if job.kind == "evaluate":
                return await self._specs.evaluate(connection, job, work, threads=threads)
            if job.kind == label_issues.KIND:
                return await self._specs.label_issues(connection, job, work, threads=threads)
            resume_from, damaged = await self._specs.last_whole_checkpoint(connection, job)
            spec = await self._specs.finetune(
                connection, job, work, device=device, threads=threads, resume_from=resume_from
            )
        for checkpoint in damaged:
            message = f"{checkpoint} is damaged; falling back to the one before"
            await attempt.note("warning", {"code": "checkpoint-corrupt", "message": message})
        return spec

    def _lacking_disk(self, spec: FinetuneRun) -> str | None:
        needed = disk.finetune_bytes(
            disk.weights_bytes(Path(spec.base_model_dir)), spec.checkpoints
        )
        return disk.shortage(self._settings.root, needed)

    async def _start_plain(self, spec: Path, *, owner: str, log: Path, threads: int) -> Child:
        return await self._nursery.start(
            ["tunery_trainer", str(spec)],
            role="job",
            owner=owner,
            log=log,
            variables={"OMP_NUM_THREADS": str(threads)},
            niced=True,
        )

    async def _follow(self, child: Child, attempt: "Attempt") -> Outcome | None:
        """Consume events until the child is silent for ever; return its last word, if any."""
        flusher = asyncio.create_task(attempt.flush_regularly(child))
        longest_silence, at_work = 0.0, False
        outcome: Outcome | None = None
        events = child.events()
        try:
            while True:
                patience = max(self._settings.stall_seconds, STALL_FACTOR * longest_silence)
                if not at_work:
                    patience = max(patience, STARTING_SECONDS)
                began = time.monotonic()
                try:
                    async with asyncio.timeout(patience):
                        event = await anext(events, None)
                except TimeoutError:
                    attempt.stalled = True
                    await child.kill_with_stack()
                    return None
                if at_work:
                    longest_silence = max(longest_silence, time.monotonic() - began)
                at_work = at_work or isinstance(event, ProgressMade)
                if event is None:
                    return outcome
                if isinstance(event, Outcome):
                    outcome = event
                else:
                    await attempt.take(event)
        finally:
            flusher.cancel()
            await asyncio.gather(flusher, return_exceptions=True)


def _parses_parquet(spec: AnyRun) -> bool:
    if not isinstance(spec, IngestRun) or spec.transforms:  # those act on rows that we wrote
        return False
    return any(file.media_type == PARQUET for file in spec.files)


def _resolved_threads(job: Row[Any]) -> int | None:
    fixed = job.resolved.get("threads")
    return None if fixed is None else int(fixed.value)
