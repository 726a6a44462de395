"""Jobs: where each is, and what the user wants of it. The supervisor carries it out."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Job, JobKind, JobStatus, Page
from tunery_server.answers import Wait, answer, watched
from tunery_server.db.queries import jobs
from tunery_server.idempotency import NO_BODY, REPLAYED, Created, Replay, once
from tunery_server.ids import is_id
from tunery_server.news import Watch
from tunery_server.pagination import After, Filter, Limit, check_after
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request

ACTION_SECONDS = 2.0  # that an answer waits for the supervisor to act
Desired = Literal["cancel", "pause", "run"]
PAUSABLE = "finetune"  # only its children leave a state behind that they can go on from


@get("/jobs", operation_id="list_jobs")
async def list_all(
    request: Request,
    limit: Limit = 20,
    after: After = None,
    status: FromQuery[JobStatus | None] = None,
    kind: FromQuery[JobKind | None] = None,
    dataset: Filter = None,
) -> Response[Page[Job]]:
    """List jobs, newest first."""
    check_after(after, "job")
    async with request.services.database.read() as connection:
        page = await jobs.list_page(
            connection,
            request.project,
            limit=limit,
            after=after,
            status=status,
            kind=kind,
            dataset=dataset,
        )
    return answer(page)


@get("/jobs/{job_id:str}", operation_id="get_job")
async def show(request: Request, job_id: FromPath[str], wait: Wait = 0) -> Response[Job]:
    """Return a job; with `wait` and If-None-Match, at its next change."""

    async def fetch() -> Job:
        return await find(request, job_id)

    return await watched(request, job_id, fetch, wait)


@post("/jobs/{job_id:str}/cancel", status_code=202, operation_id="cancel_job")
async def cancel(request: Request, job_id: FromPath[str]) -> Response[Job]:
    """Cancel a job; one that has ended is answered as it is."""
    return await _act(request, job_id, "cancel")


@post("/jobs/{job_id:str}/pause", status_code=202, operation_id="pause_job")
async def pause(request: Request, job_id: FromPath[str]) -> Response[Job]:
    """Pause a running fine-tune at its next step; it gives its device back."""
    return await _act(request, job_id, "pause")


@post("/jobs/{job_id:str}/resume", status_code=202, operation_id="resume_job")
async def resume(request: Request, job_id: FromPath[str]) -> Response[Job]:
    """Queue a paused job again; it goes on from its last checkpoint."""
    return await _act(request, job_id, "run")


async def find(request: Request, job_id: str) -> Job:
    """Return a job of the request's project.

    Raises:
        Refusal: job-not-found.
    """
    if is_id(job_id, "job"):
        async with request.services.database.read() as connection:
            job = await jobs.get(connection, request.project, job_id)
        if job is not None:
            return job
    raise Refusal("job-not-found", f"there is no job {quote(job_id)}")


async def _act(request: Request, job_id: str, desired: Desired) -> Response[Job]:
    """Record what is desired of a job, once per key, and answer when the supervisor has acted."""
    job = await find(request, job_id)

    async def make(connection: AsyncConnection) -> Created[bool]:
        # Judged in here: a replay must not be refused for what its first try has done.
        acting = _changes(job, desired)
        if acting:
            await jobs.desire(connection, request.project, job_id, desired)
        return Created(content=acting, status=202, location=f"/jobs/{job_id}")

    with request.services.news.watching(job_id) as watch:
        done = await once(request, make, body_sha256=NO_BODY)
        if isinstance(done, Replay):
            return _as_it_is(await find(request, job_id), REPLAYED)
        if not done.content:
            return _as_it_is(job, {})
        return answer(await _changed(request, job, watch), status=202)


def _changes(job: Job, desired: Desired) -> bool:
    """Return whether there is anything to do.

    Raises:
        Refusal: the job is in no state for this.
    """
    if desired == "cancel":
        return not job.terminal
    if desired == "run":
        if job.status != "paused":
            raise Refusal("job-not-resumable", f"{job.id} is {job.status}")
        return True
    if job.kind != PAUSABLE:
        raise Refusal("conflict", f"a job of kind {job.kind} can't be paused")
    if job.status in ("pausing", "paused"):
        return False
    if job.status != "running":
        raise Refusal("conflict", f"{job.id} is {job.status}")
    return True


async def _changed(request: Request, job: Job, watch: Watch) -> Job:
    loop = asyncio.get_running_loop()
    until = loop.time() + ACTION_SECONDS
    current = job
    while current.status == job.status and not request.services.draining:
        left = until - loop.time()
        if left <= 0:
            break
        await watch.changed(left)
        current = await find(request, job.id)
    return current


def _as_it_is(job: Job, headers: Mapping[str, str]) -> Response[Job]:
    return answer(job, status=200 if job.terminal else 202, headers=headers)


HANDLERS = [list_all, show, cancel, pause, resume]
