"""What a job leaves behind while it runs: events, metrics, logs, checkpoints."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from tunery.types import Checkpoint, CheckpointList, Event, EventList, Job, LogText, MetricList
from tunery_server import curves
from tunery_server.answers import Wait, answer, encode, from_bytes
from tunery_server.db.queries import checkpoints, jobs
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.jobs import find
from tunery_server.services import MAX_STREAMS

HEARTBEAT_SECONDS = 15.0
CSV_TYPE = "text/csv"
_RETRY_MS = 2000
_PAGE = 500  # events that a stream reads at once
_LOG_BYTES = 1 << 20  # the end of a log that is searched for lines
_MAX_SEQ = 2**53
_MAX_SEQ_DIGITS = len(str(_MAX_SEQ))


@get("/jobs/{job_id:str}/events", operation_id="list_events", opt={"event_stream": True})
async def events(
    request: Request,
    job_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=_MAX_SEQ, description="A seq.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Events of one page.")] = 100,
    wait: Wait = 0,
) -> Response[EventList] | Stream:
    """Return the events of a job after a seq, oldest first; or stream them, as Accept says."""
    job = await find(request, job_id)
    if "text/event-stream" in request.headers.get("accept", ""):
        return await _stream(request, job, after)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    with request.services.news.watching(job_id) as watch:
        while True:
            async with request.services.database.read() as connection:
                found = await jobs.events(connection, job_id, after=after, limit=limit)
            left = until - loop.time()
            if found.data or left <= 0 or request.services.draining:
                return answer(found)
            await watch.changed(left)


@get("/jobs/{job_id:str}/metrics", operation_id="get_metrics")
async def metrics(
    request: Request,
    job_id: FromPath[str],
    names: Annotated[
        str | None,
        QueryParameter(
            pattern=r"^[\w.-]+(,[\w.-]+)*$",
            max_length=2000,
            description="Only these metrics, with commas between them.",
        ),
    ] = None,
    downsample: Annotated[
        int | None,
        QueryParameter(
            ge=2,
            le=100_000,
            description="Points of a metric at most: its first, its last, the extremes between.",
        ),
    ] = None,
) -> Response[MetricList] | Response[str]:
    """Return the metrics of a job, by step.

    With `Accept: text/csv`, a line per step and a column per metric.
    """
    await find(request, job_id)
    async with request.services.database.read() as connection:
        points = await jobs.metrics(connection, job_id)
    asked = None if names is None else list(dict.fromkeys(names.split(",")))
    if asked is not None:
        points = curves.chosen(points, asked)
    if downsample is not None:
        points = curves.thinned(points, downsample)
    if CSV_TYPE in request.headers.get("accept", ""):
        text = curves.as_csv(points, asked or curves.names_of(points))
        return Response(text, media_type=f"{CSV_TYPE}; header=present")
    return answer(MetricList(data=points))


@get("/jobs/{job_id:str}/logs", operation_id="get_logs")
async def logs(
    request: Request,
    job_id: FromPath[str],
    tail: Annotated[int, QueryParameter(ge=1, le=10_000, description="Lines from the end.")] = 200,
) -> Response[LogText]:
    """Return the last lines that the job's last attempt has logged."""
    job = await find(request, job_id)
    path = request.services.settings.log_dir / job.id / f"attempt-{job.attempt}.log"
    lines = await asyncio.to_thread(_last_lines, path, tail)
    return answer(LogText(attempt=job.attempt, lines=lines))


@get("/jobs/{job_id:str}/checkpoints", operation_id="list_checkpoints")
async def list_checkpoints(request: Request, job_id: FromPath[str]) -> Response[CheckpointList]:
    """Return the checkpoints of a job that are still kept, newest first."""
    await find(request, job_id)
    async with request.services.database.read() as connection:
        found: list[Checkpoint] = await checkpoints.of_job(connection, request.project, job_id)
    return answer(CheckpointList(data=found))


async def _stream(request: Request, job: Job, after: int) -> Response[EventList] | Stream:
    last_id = request.headers.get("last-event-id")
    if last_id is not None:
        if not (last_id.isascii() and last_id.isdecimal() and len(last_id) <= _MAX_SEQ_DIGITS):
            raise Refusal("invalid-after", f"Last-Event-ID is {quote(last_id)}")
        after = int(last_id)
    if job.terminal:
        async with request.services.database.read() as connection:
            left = await jobs.events(connection, job.id, after=after, limit=1)
        if not left.data:
            # Browsers come back when a stream has ended; this one would never end again, and 204
            # tells them to stay away. Source: HTML Standard, Server-sent events, Introduction.
            return from_bytes(b"", EventList, status=204)
    if request.services.streams >= MAX_STREAMS:
        raise Refusal("too-many-streams", f"{MAX_STREAMS} streams are open")
    return Stream(
        _frames(request, job.id, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _frames(request: Request, job_id: str, after: int) -> AsyncGenerator[bytes, None]:
    services = request.services
    loop = asyncio.get_running_loop()
    services.streams += 1
    try:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        beat_at = loop.time() + HEARTBEAT_SECONDS
        with services.news.watching(job_id) as watch:
            while not services.draining:
                async with services.database.read() as connection:
                    found = await jobs.events(connection, job_id, after=after, limit=_PAGE)
                for event in found.data:
                    yield _frame(event)
                    if event.type == "end":
                        return
                if found.data:
                    after = found.last_seq
                    beat_at = loop.time() + HEARTBEAT_SECONDS
                elif loop.time() >= beat_at:
                    yield b": alive\n\n"
                    beat_at = loop.time() + HEARTBEAT_SECONDS
                if not found.has_more:
                    await watch.changed(max(0.0, beat_at - loop.time()))
    finally:
        services.streams -= 1


def _frame(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq, event.type.encode(), encode(event))


def _last_lines(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]


HANDLERS = [events, metrics, logs, list_checkpoints]
