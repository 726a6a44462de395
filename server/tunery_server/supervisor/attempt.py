"""Attempts: what one has said and not yet committed, and where it leaves its job.

Every write names the attempt, so that one which is no longer the live one changes nothing.
"""

import asyncio
import logging
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import Row

from tunery.types import PROBLEMS, ErrorInfo, EventType
from tunery_server.db.columns import now
from tunery_server.db.engine import FAILURES, Database
from tunery_server.db.queries import jobs
from tunery_server.supervisor.child import Child, how_it_ended
from tunery_server.supervisor.event_file import EventFile
from tunery_server.supervisor.publish import CANCELLED, Publisher
from tunery_server.supervisor.remedies import remedy_of
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    DryRan,
    Evaluated,
    Failed,
    Finetuned,
    HyperparametersResolved,
    Ingested,
    Interrupted,
    LabelIssuesFound,
    MetricLogged,
    ProgressMade,
    Rejected,
    Started,
    WarningRaised,
    WeightsTaken,
)

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0  # metrics are committed once a second, not per step
MAX_DEATHS = 3
DISK_FULL = "disk-full"  # why a fine-tune is paused, until there is room
PARKED_SECONDS = 30.0

Outcome = (
    Ingested | Rejected | Finetuned | DryRan | Evaluated | LabelIssuesFound | Interrupted | Failed
)


class Tell(Protocol):
    """Tells API workers what has changed."""

    def __call__(self, changed: str) -> None:
        """Send the id of a resource."""
        ...


class Attempt:
    """What one attempt has said and not yet committed, and how it ends."""

    def __init__(
        self, job: Row[Any], database: Database, publisher: Publisher, tell: Tell, work: Path
    ) -> None:
        self._job = job
        self._database = database
        self._publisher = publisher
        self._tell = tell
        self._work = work
        self._events: list[tuple[EventType, dict[str, Any]]] = []
        self._columns: dict[str, Any] = {}
        self._lock = asyncio.Lock()
        self._seal = "none"
        self.parses_parquet = False  # that a user has made
        self.event_file: EventFile | None = None
        self.stalled = False
        self.out_of_memory = False  # as far as the kernel and the log tell

    async def is_wanted(self) -> bool:
        """Return whether the job is still to run: it may have been cancelled while it started."""
        async with self._database.read() as connection:
            row = await jobs.row_of(connection, self._job.id)
        return bool(row.status == "running" and row.attempt == self._job.attempt)

    async def take(self, event: AnyEvent) -> None:
        """Keep one event for the next commit; a checkpoint is published at once."""
        match event:
            case Started(seal=seal):
                self._seal = seal
            case ProgressMade(progress=progress):
                self._columns["progress"] = progress
            case MetricLogged(step=step, values=values):
                data = {"step": step, **msgspec.to_builtins(values)}
                self._events.append(("metric", data))
                if step == 1:
                    await self.flush()
            case HyperparametersResolved(resolved=resolved):
                self._columns["resolved"] = resolved
                await self.flush()
            case WeightsTaken(message=message, kept=kept, new=new, dropped=dropped):
                data = {"message": message, "kept": kept, "new": new, "dropped": dropped}
                self._events.append(("log", data))
            case WarningRaised(code=code, message=message):
                self._events.append(("warning", {"code": code, "message": message}))
            case CheckpointSaved():
                await self.flush()
                await self._publisher.checkpoint(self._job, event, self._work)
                self._tell(self._job.id)
            case _:
                pass

    async def note(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Commit one event now."""
        self._events.append((kind, dict(data)))
        await self.flush()

    async def flush(self) -> bool:
        """Commit what is kept; return whether this attempt is still the live one."""
        async with self._lock:
            if not self._events and not self._columns:
                return True
            events, self._events = self._events, []
            columns, self._columns = self._columns, {}
            try:
                async with self._database.write() as connection:
                    alive = await jobs.record(
                        connection,
                        self._job.id,
                        attempt=self._job.attempt,
                        events=events,
                        **columns,
                    )
            except BaseException:
                self._events = events + self._events
                self._columns = columns | self._columns
                raise
            if alive and self.event_file is not None:
                points = [data for kind, data in events if kind == "metric"]
                await asyncio.to_thread(self.event_file.write, points)
        self._tell(self._job.id)
        return alive

    async def flush_regularly(self, child: Child) -> None:
        """Commit once a second; a child whose attempt is no longer live is ended."""
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            try:
                alive = await self.flush()
            except FAILURES:
                logger.exception("%s: not committed yet", self._job.id)
                continue
            if not alive:
                logger.warning("%s attempt %d was fenced", self._job.id, self._job.attempt)
                child.kill()
                return

    async def end(self, outcome: Outcome | None, exit_code: int, log_tail: str) -> None:
        """Move the job to where this attempt leaves it."""
        await self.flush()
        match outcome:
            case Ingested():
                await self._publisher.dataset(self._job, outcome, self._work)
            case Rejected():
                await self._publisher.rejection(self._job, outcome, self._work)
            case Finetuned():
                await self._publisher.version(self._job, outcome, self._work, self._seal)
            case DryRan(report=report):
                await self._publisher.rehearsal(self._job, report)
            case Evaluated():
                await self._publisher.evaluation(self._job, outcome, self._work)
            case LabelIssuesFound():
                await self._publisher.label_issues(self._job, outcome, self._work)
            case Failed(code="insufficient-storage", message=message):
                await self.park(message)
            case Failed(code=code, message=message):
                await self._fail_unless_remedied(code, message, log_tail)
            case Interrupted():
                await self._settle(died=False, code="", message="", log_tail=log_tail)
            case None:
                code = "stalled" if self.stalled else "worker-lost"
                message = f"attempt {self._job.attempt} ended with {how_it_ended(exit_code)}"
                if self.parses_parquet and exit_code == -signal.SIGSEGV:
                    # It would again: a parser of foreign code has met bytes that were made for it.
                    await self.fail("unreadable-parquet", message, log_tail)
                    return
                if self.out_of_memory:
                    message = f"{message}: memory ran out"
                    await self._fail_unless_remedied("out-of-memory", message, log_tail)
                    return
                await self._settle(died=True, code=code, message=message, log_tail=log_tail)

    async def _fail_unless_remedied(self, code: str, message: str, log_tail: str) -> None:
        async with self._database.read() as connection:
            job = await jobs.row_of(connection, self._job.id)
        remedy = remedy_of(job, code)
        if remedy is None:
            await self.fail(code, message, log_tail)
            return
        self._columns["resolved"] = job.resolved | remedy.resolved
        await self.note("warning", {"code": code, "message": f"{message}; {remedy.message}"})
        await self._settle(died=False, code=code, message=message, log_tail=log_tail)

    async def park(self, message: str) -> None:
        """Pause a fine-tune until the disk has room; it resumes by itself."""
        if self._job.kind != "finetune":
            await self.fail("insufficient-storage", message, None)
            return
        job_id, attempt = self._job.id, self._job.attempt
        async with self._database.write() as connection:
            data = {"code": "insufficient-storage", "message": message}
            await jobs.record(connection, job_id, attempt=attempt, events=[("warning", data)])
            await jobs.move(connection, job_id, "pausing", attempt=attempt)
            parked = await jobs.move(
                connection,
                job_id,
                "paused",
                attempt=attempt,
                stop_reason=DISK_FULL,
                not_before=now() + timedelta(seconds=PARKED_SECONDS),
            )
        if not parked:
            await self._settle(died=False, code="", message="", log_tail="")

    async def fail(self, code: str, message: str, log_tail: str | None) -> None:
        """End the job as failed, or as cancelled where that was asked for."""
        error = error_info(code, message, log_tail)
        async with self._database.write() as connection:
            moved = await jobs.move(
                connection, self._job.id, "failed", attempt=self._job.attempt, error=error
            ) or await jobs.move(connection, self._job.id, "cancelled", attempt=self._job.attempt)
            if moved:
                await self._publisher.settle_unfinished(connection, self._job, error)

    async def lost(self, message: str) -> None:
        """Count a death that the child did not die alone, as soon as the database takes it."""
        while True:
            try:
                return await self._settle(
                    died=True, code="worker-lost", message=message, log_tail=""
                )
            except FAILURES:
                logger.exception("%s: its end is not committed yet", self._job.id)
                await asyncio.sleep(COMMIT_SECONDS)

    async def _stops(self) -> bool:
        async with self._database.read() as connection:
            row = await jobs.row_of(connection, self._job.id)
        return row.status in ("pausing", "cancelling")

    async def _settle(self, *, died: bool, code: str, message: str, log_tail: str) -> None:
        """Cancelled or paused where that was asked for, else queued again or given up."""
        job_id, attempt = self._job.id, self._job.attempt
        deaths = self._job.deaths + (1 if died else 0)
        if died and deaths >= MAX_DEATHS and not await self._stops():
            tried = f"{message}, as {deaths - 1} before it did"
            await self.fail("stalled" if self.stalled else "crash-loop", tried, log_tail)
            return
        async with self._database.write() as connection:
            if await jobs.move(
                connection, job_id, "cancelled", attempt=attempt, leaving=["cancelling"]
            ):
                await self._publisher.settle_unfinished(connection, self._job, CANCELLED)
                return
            if await jobs.move(connection, job_id, "paused", attempt=attempt, leaving=["pausing"]):
                return
            if died:
                data = {"code": code, "message": message}
                await jobs.record(
                    connection, job_id, attempt=attempt, events=[("warning", data)], deaths=deaths
                )
            wait = timedelta(seconds=4 ** (deaths - 1)) if died else timedelta(0)
            await jobs.move(connection, job_id, "queued", attempt=attempt, not_before=now() + wait)


def error_info(code: str, message: str, log_tail: str | None) -> ErrorInfo:
    """Return an error with the hint of its code."""
    known = PROBLEMS.get(code, PROBLEMS["job-error"])
    return ErrorInfo(code=code, message=message, hint=known.hint, log_tail=log_tail)
