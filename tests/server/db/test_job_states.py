"""R7: jobs move along published edges only, once, and a late attempt changes nothing.

Hypothesis drives the real statements on both databases beside a model of a dozen lines.
"""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from tunery_server.db import tables
from tunery_server.db.engine import Database
from tunery_server.db.migrate import upgrade
from tunery_server.db.queries import jobs
from tunery_server.db.states import EDGES, LIVE
from tunery_server.ids import new_id

TARGETS = ["queued", "pausing", "paused", "cancelling", "cancelled", "succeeded", "failed"]
ENDED = {"succeeded", "failed", "cancelled"}


class Jobs(RuleBasedStateMachine):
    """Users, supervisors and zombies at work on one table."""

    known = Bundle("jobs")
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.database = Database(type(self).url)
        self.model: dict[str, tuple[str, int]] = {}  # status, attempt

    @initialize()
    def begin_empty(self) -> None:
        self.loop.run_until_complete(self._clear())

    @rule(target=known)
    def create(self) -> str:
        job_id = new_id("job")
        self._write(
            jobs.add,
            job_id=job_id,
            project="default",
            kind="finetune",
            spec={},
            dataset=None,
        )
        self.model[job_id] = ("queued", 0)
        return job_id

    @rule()
    def claim(self) -> None:
        waiting = [job_id for job_id, (status, _) in self.model.items() if status == "queued"]

        row = self._write(jobs.claim, kinds=jobs.TRAIN_KINDS)

        assert (row is None) == (not waiting)
        if row is not None:
            status, attempt = self.model[row.id]
            assert status == "queued"
            assert row.attempt == attempt + 1
            self.model[row.id] = ("running", row.attempt)

    @rule(job_id=known, goal=st.sampled_from(TARGETS), late=st.booleans())
    def move(self, job_id: str, goal: Any, late: bool) -> None:
        status, attempt = self.model[job_id]
        named = attempt - 1 if late else attempt

        moved = self._write(jobs.move, job_id=job_id, target=goal, attempt=named)

        assert moved == (not late and (status, goal) in EDGES)
        if moved:
            self.model[job_id] = (goal, attempt)

    @rule(job_id=known, late=st.booleans())
    def heartbeat(self, job_id: str, late: bool) -> None:
        status, attempt = self.model[job_id]
        named = attempt - 1 if late else attempt

        alive = self._write(
            jobs.record, job_id=job_id, attempt=named, events=[("metric", {"step": 1})]
        )

        assert alive == (not late and status in LIVE)

    @invariant()
    def every_job_is_where_its_events_say(self) -> None:
        for job_id, (status, attempt) in self.model.items():
            job, events = self.loop.run_until_complete(self._state(job_id))
            assert (job.status, job.attempt) == (status, attempt)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            path = [event.data["status"] for event in events if event.type in ("state", "end")]
            assert all(edge in EDGES for edge in itertools.pairwise(path))
            assert path[-1] == status
            ends = [event for event in events if event.type == "end"]
            assert len(ends) == (1 if status in ENDED else 0)
            assert not ends or events[-1] == ends[0]

    def teardown(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()

    async def _clear(self) -> None:
        await upgrade(self.database)
        async with self.database.write() as connection:
            await connection.execute(delete(tables.job_events))
            await connection.execute(delete(tables.jobs))

    async def _state(self, job_id: str) -> tuple[Any, Any]:
        async with self.database.read() as connection:
            job = await jobs.get(connection, "default", job_id)
            return job, (await jobs.events(connection, job_id, after=0)).data

    def _write(self, statement: Any, **values: Any) -> Any:
        async def body() -> Any:
            async with self.database.write() as connection:
                return await statement(connection, **values)

        return self.loop.run_until_complete(body())


def drive(url: str, examples: int, steps: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    machine = type("JobsHere", (Jobs,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_sequence_leaves_the_published_edges(database_url: str) -> None:
    drive(database_url, examples=15, steps=20)


def test_a_fence_that_is_missing_is_noticed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a move that ignores the attempt must fail the machine."""
    honest = jobs.move

    async def unfenced(connection: Any, job_id: str, target: Any, *, attempt: int) -> bool:
        row = await jobs.row_of(connection, job_id)
        return await honest(connection, job_id, target, attempt=row.attempt)

    monkeypatch.setattr(jobs, "move", unfenced)

    with pytest.raises(AssertionError):
        drive(database_url, examples=50, steps=25, phases=(Phase.generate,))  # need not shrink
