"""Whoever waits for a job sees it through a restart of the service, and misses nothing."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tests.e2e import service as e2e
from tests.e2e.conftest import LONG, SAVED

import tunery
from tunery.types import Event

LIMIT_SECONDS = 180.0  # fails by then; a restart takes some ten seconds


def test_waiting_and_events_outlast_a_killed_supervisor(fresh: e2e.Service) -> None:
    fresh.start()
    with fresh.client() as client:
        tickets = e2e.dataset(client)
        job = e2e.finetune(client, tickets["id"], hyperparameters=LONG, checkpoints=SAVED)
    path = f"/jobs/{job['id']}"

    with ThreadPoolExecutor(4) as pool:
        waits, feeds = watched_by_all(fresh, job["id"], pool)
        with fresh.client() as client:
            e2e.wait_until(lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint")
        fresh.kill()
        running = [not watching.done() for watching in (*waits, *feeds)]
        fresh.start()
        jobs = [waiting.result(LIMIT_SECONDS) for waiting in waits]
        seen = [feed.result(LIMIT_SECONDS) for feed in feeds]

    with fresh.client() as client:
        listed = client.get(f"{path}/events", params={"limit": 500}).json()["data"]
    seqs = [event["seq"] for event in listed]
    assert running == [True] * 4
    assert [(job.status, job.attempt) for job in jobs] == [("succeeded", 2)] * 2
    assert seqs == list(range(1, len(listed) + 1))
    assert [[event.seq for event in events] for events in seen] == [seqs] * 2
    assert [[event.type for event in events] for events in seen] == [
        [event["type"] for event in listed]
    ] * 2
    assert listed[-1]["type"] == "end"


def watched_by_all(
    service: e2e.Service, job_id: str, pool: ThreadPoolExecutor
) -> tuple[Sequence[Future[Any]], Sequence[Future[Any]]]:
    """Wait for a job, and follow its events, with both clients."""
    waits: list[Callable[..., Any]] = [wait, lambda *args: asyncio.run(wait_async(*args))]
    feeds: list[Callable[..., Any]] = [follow, lambda *args: asyncio.run(follow_async(*args))]
    return (
        [pool.submit(each, service, job_id) for each in waits],
        [pool.submit(each, service, job_id) for each in feeds],
    )


def wait(service: e2e.Service, job_id: str) -> Any:
    with client_of(service) as client:
        return client.jobs.get(job_id).wait(timeout=LIMIT_SECONDS)


def follow(service: e2e.Service, job_id: str) -> list[Event]:
    with client_of(service) as client:
        return list(client.jobs.get(job_id).events(timeout=LIMIT_SECONDS))


async def wait_async(service: e2e.Service, job_id: str) -> Any:
    async with async_client_of(service) as client:
        return await (await client.jobs.get(job_id)).wait(timeout=LIMIT_SECONDS)


async def follow_async(service: e2e.Service, job_id: str) -> list[Event]:
    async with async_client_of(service) as client:
        job = await client.jobs.get(job_id)
        return [event async for event in job.events(timeout=LIMIT_SECONDS)]


def client_of(service: e2e.Service) -> tunery.Client:
    return tunery.Client(service.url, api_key=key_of(service))


def async_client_of(service: e2e.Service) -> tunery.AsyncClient:
    return tunery.AsyncClient(service.url, api_key=key_of(service))


def key_of(service: e2e.Service) -> str:
    return (service.data_dir / "admin.key").read_text().strip()
