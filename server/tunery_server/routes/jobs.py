"""Jobs: where each is, and what the user wants of it. The supervisor carries it out."""

import asyncio
from typing import Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from tunery.types import Job, JobKind, JobStatus, Page
from tunery_server.answers import Wait, answer, watched
from tunery_server.db.queries import jobs
from tunery_server.ids import is_id
from tunery_server.pagination import After, Filter, Limit, check_after
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request

ACTION_SECONDS = 2.0  # that an answer waits for the supervisor to act
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
    job = await find(request, job_id)
    if job.terminal:
        return answer(job)
    return await _act(request, job, "cancel")


@post("/jobs/{job_id:str}/pause", status_code=202, operation_id="pause_job")
async def pause(request: Request, job_id: FromPath[str]) -> Response[Job]:
    """Pause a running fine-tune at its next step; it gives its device back."""
    job = await find(request, job_id)
    if job.kind != PAUSABLE:
        raise Refusal("conflict", f"a job of kind {job.kind} can't be paused")
    if job.status in ("pausing", "paused"):
        return answer(job, status=202)
    if job.status != "running":
        raise Refusal("conflict", f"{job_id} is {job.status}")
    return await _act(request, job, "pause")


@post("/jobs/{job_id:str}/resume", status_code=202, operation_id="resume_job")
async def resume(request: Request, job_id: FromPath[str]) -> Response[Job]:
    """Queue a paused job again; it goes on from its last checkpoint."""
    job = await find(request, job_id)
    if job.status != "paused":
        raise Refusal("job-not-resumable", f"{job_id} is {job.status}")
    return await _act(request, job, "run")


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


async def _act(
    request: Request, job: Job, desired: Literal["cancel", "pause", "run"]
) -> Response[Job]:
    services = request.services
    until = asyncio.get_running_loop().time() + ACTION_SECONDS
    with services.news.watching(job.id) as watch:
        async with services.database.write() as connection:
            await jobs.desire(connection, request.project, job.id, desired)
        services.news.wake()
        current = job
        while current.status == job.status and not services.draining:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await watch.changed(left)
            current = await find(request, job.id)
    return answer(current, status=202)


HANDLERS = [list_all, show, cancel, pause, resume]
