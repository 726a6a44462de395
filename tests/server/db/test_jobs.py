"""Jobs: the queue, the fence, the events, on both databases."""

import asyncio
from collections.abc import Callable

from tunery.types import ErrorInfo
from tunery_server.db.engine import Database
from tunery_server.db.queries import jobs
from tunery_server.ids import new_id


async def queue(database: Database, kind: str = "finetune", priority: int = 50) -> str:
    job_id = new_id("job")
    async with database.write() as connection:
        await jobs.add(
            connection,
            job_id=job_id,
            project="default",
            kind=kind,
            spec={"model": "intent"},
            dataset=None,
            priority=priority,
        )
    return job_id


async def claim(database: Database) -> str | None:
    async with database.write() as connection:
        row = await jobs.claim(connection, jobs.TRAIN_KINDS)
    return None if row is None else row.id


def test_claim_takes_the_highest_priority_then_the_oldest(run: Callable) -> None:
    async def body(database: Database) -> list[bool]:
        first = await queue(database)
        second = await queue(database)
        urgent = await queue(database, priority=90)

        taken = [await claim(database) for _ in range(3)]

        return [taken == [urgent, first, second], await claim(database) is None]

    assert run(body) == [True, True]


def test_concurrent_claims_never_take_the_same_job(run: Callable) -> None:
    async def body(database: Database) -> tuple[int, int]:
        for _ in range(20):
            await queue(database)

        taken = await asyncio.gather(*(claim(database) for _ in range(40)))

        found = [job for job in taken if job is not None]
        return len(found), len(set(found))

    assert run(body) == (20, 20)


def test_a_lane_does_not_claim_jobs_of_another(run: Callable) -> None:
    async def body(database: Database) -> str | None:
        await queue(database, kind="ingest")
        return await claim(database)

    assert run(body) is None


def test_a_write_of_an_earlier_attempt_changes_nothing(run: Callable) -> None:
    async def body(database: Database) -> tuple[list[bool], int]:
        job_id = await queue(database)
        await claim(database)
        async with database.write() as connection:
            await jobs.move(connection, job_id, "queued", attempt=1)
        await claim(database)

        async with database.write() as connection:
            late = [
                await jobs.record(connection, job_id, attempt=1, events=[("log", {})]),
                await jobs.move(connection, job_id, "succeeded", attempt=1),
                await jobs.move(connection, job_id, "succeeded", attempt=2),
                await jobs.move(connection, job_id, "failed", attempt=2),
            ]
        async with database.read() as connection:
            events = await jobs.events(connection, job_id, after=0)
        return late, sum(event.type == "end" for event in events.data)

    assert run(body) == ([False, False, True, False], 1)


def test_event_numbers_rise_by_one(run: Callable) -> None:
    async def body(database: Database) -> list[int]:
        job_id = await queue(database)
        await claim(database)
        for step in range(3):
            async with database.write() as connection:
                events = [("metric", {"step": step, "loss": 1.0}), ("log", {"line": "x"})]
                await jobs.record(connection, job_id, attempt=1, events=events)
        async with database.write() as connection:
            error = ErrorInfo(code="crash-loop", message="it died", hint="look")
            await jobs.move(connection, job_id, "failed", attempt=1, error=error)
        async with database.read() as connection:
            return [event.seq for event in (await jobs.events(connection, job_id, after=0)).data]

    assert run(body) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_replayed_step_is_reported_once(run: Callable) -> None:
    async def body(database: Database) -> list[tuple[int, float]]:
        job_id = await queue(database)
        await claim(database)
        for loss in (2.0, 1.5):
            async with database.write() as connection:
                event = ("metric", {"step": 10, "loss": loss})
                await jobs.record(connection, job_id, attempt=1, events=[event])
        async with database.read() as connection:
            points = await jobs.metrics(connection, job_id)
        return [(point.step, point.values["loss"]) for point in points]

    assert run(body) == [(10, 1.5)]


def test_a_queued_job_knows_its_place(run: Callable) -> None:
    async def body(database: Database) -> tuple[int, str]:
        await queue(database)
        second = await queue(database)
        async with database.read() as connection:
            job = await jobs.get(connection, "default", second)
        assert job is not None
        assert job.queue is not None
        return job.queue.position, job.queue.reason

    assert run(body) == (2, "waiting-for-device")


def test_another_project_sees_nothing(run: Callable) -> None:
    async def body(database: Database) -> object:
        job_id = await queue(database)
        async with database.read() as connection:
            return await jobs.get(connection, "other", job_id)

    assert run(body) is None
