"""Jobs: the queue, the fenced moves between states, and the append-only events.

A write of the supervisor names the attempt that it belongs to and the states that it may leave.
Where another attempt has begun, or the job has ended, it changes nothing and says so.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, and_, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    TERMINAL,
    EvaluateSpec,
    Event,
    EventList,
    EventType,
    Job,
    JobStatus,
    MetricPoint,
    Page,
    Queue,
    QueueReason,
)
from tunery_server.db.columns import now, stamp, stamp_or_none
from tunery_server.db.queries.pages import page_of
from tunery_server.db.states import LIVE, ends, sources
from tunery_server.db.tables import job_events, jobs

TRAIN_KINDS = ("finetune",)
LIGHT_KINDS = ("ingest", "evaluate", "label-issues")


async def add(
    connection: AsyncConnection,
    *,
    job_id: str,
    project: str,
    kind: str,
    spec: dict[str, Any],
    dataset: str | None,
    priority: int = 50,
) -> Job:
    """Queue a job; its first event is part of the same transaction."""
    values = {
        "id": job_id,
        "project": project,
        "kind": kind,
        "spec": spec,
        "dataset": dataset,
        "created_at": now(),
        "desired": "run",
        "priority": priority,
        "status": "queued",
        "attempt": 0,
        "deaths": 0,
        "resolved": {},
        "last_seq": 1,
    }
    row = (await connection.execute(insert(jobs).values(**values).returning(*jobs.c))).one()
    await _append(connection, row, 1, [("state", {"status": "queued"})])
    return _struct(row, None)


async def get(connection: AsyncConnection, project: str, job_id: str) -> Job | None:
    """Return a job, with its place in the queue while it waits."""
    statement = select(jobs).where(jobs.c.project == project, jobs.c.id == job_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _struct(row, await _queue(connection, row))


async def row_of(connection: AsyncConnection, job_id: str) -> Row[Any]:
    """Return a job's row: for the supervisor, which knows every project."""
    return (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one()


async def list_page(
    connection: AsyncConnection,
    project: str,
    *,
    limit: int,
    after: str | None,
    status: str | None = None,
    kind: str | None = None,
    dataset: str | None = None,
) -> Page[Job]:
    """Return a page of jobs."""
    statement = select(jobs).where(jobs.c.project == project)
    for column, value in ((jobs.c.status, status), (jobs.c.kind, kind), (jobs.c.dataset, dataset)):
        if value is not None:
            statement = statement.where(column == value)
    return await page_of(
        connection, statement, jobs.c.id, lambda row: _struct(row, None), limit=limit, after=after
    )


async def desire(connection: AsyncConnection, project: str, job_id: str, desired: str) -> None:
    """Record what the user wants of a job: run, pause or cancel."""
    await connection.execute(
        update(jobs)
        .where(jobs.c.project == project, jobs.c.id == job_id, jobs.c.status.not_in(TERMINAL))
        .values(desired=desired)
    )


async def queued_count(connection: AsyncConnection, project: str) -> int:
    """Return how many jobs of a project wait."""
    statement = select(func.count()).where(jobs.c.project == project, jobs.c.status == "queued")
    return (await connection.execute(statement)).scalar_one()


async def counts(connection: AsyncConnection, project: str) -> dict[tuple[str, str], int]:
    """Return how many jobs of a project there are, by kind and status."""
    statement = (
        select(jobs.c.kind, jobs.c.status, func.count())
        .where(jobs.c.project == project)
        .group_by(jobs.c.kind, jobs.c.status)
        .order_by(jobs.c.kind, jobs.c.status)
    )
    rows = await connection.execute(statement)
    return {(kind, status): number for kind, status, number in rows}


async def uses_dataset(connection: AsyncConnection, dataset: str) -> bool:
    """Return whether a job that has not ended needs the dataset."""
    statement = select(jobs.c.id).where(
        jobs.c.dataset == dataset, jobs.c.status.not_in(TERMINAL), jobs.c.kind != "ingest"
    )
    return (await connection.execute(statement.limit(1))).first() is not None


async def claim(connection: AsyncConnection, kinds: Collection[str]) -> Row[Any] | None:
    """Take the next job of these kinds: it is running, one attempt further, when this commits."""
    waiting = (
        select(jobs.c.id)
        .where(
            jobs.c.status == "queued",
            jobs.c.desired != "cancel",  # one that is to pause does so once it runs
            jobs.c.kind.in_(kinds),
            or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now()),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    statement = (
        update(jobs)
        .where(jobs.c.id == waiting, jobs.c.status == "queued")
        .values(
            status="running",
            attempt=jobs.c.attempt + 1,
            started_at=func.coalesce(jobs.c.started_at, literal(now(), jobs.c.started_at.type)),
            not_before=None,
            stop_reason=None,
            last_seq=jobs.c.last_seq + 1,
        )
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is not None:
        data = {"status": "running", "from": "queued", "attempt": row.attempt}
        await _append(connection, row, row.last_seq, [("state", data)])
    return row


async def move(
    connection: AsyncConnection,
    job_id: str,
    target: JobStatus,
    *,
    attempt: int,
    leaving: Collection[str] | None = None,
    **values: Any,
) -> bool:
    """Move a job along an edge of the diagram; return whether it did.

    `leaving` narrows the states that the edge may start from. A state that ends the job also
    writes `finished_at`, and its event is the one terminal event.
    """
    allowed = sources(target) if leaving is None else sources(target) & set(leaving)
    if ends(target):
        values["finished_at"] = now()
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.status.in_(allowed))
        .values(status=target, last_seq=jobs.c.last_seq + 1, **values)
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return False
    data: dict[str, Any] = {"status": target, "attempt": attempt}
    if row.error is not None and target == "failed":
        data["error"] = {"code": row.error.code, "message": row.error.message}
    if row.stop_reason is not None:
        data["stop_reason"] = row.stop_reason
    kind: EventType = "end" if ends(target) else "state"
    await _append(connection, row, row.last_seq, [(kind, data)])
    return True


async def record(
    connection: AsyncConnection,
    job_id: str,
    *,
    attempt: int,
    events: Sequence[tuple[EventType, dict[str, Any]]] = (),
    **values: Any,
) -> bool:
    """Append events and write columns of a live attempt; return whether it still is one."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.status.in_(LIVE))
        .values(last_seq=jobs.c.last_seq + len(events), **values)
        .returning(*jobs.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return False
    if events:
        await _append(connection, row, row.last_seq - len(events) + 1, events)
    return True


async def measured(connection: AsyncConnection, project: str, *, limit: int) -> Sequence[Row[Any]]:
    """Return the fine-tunes that last succeeded at their first attempt, newest first."""
    statement = (
        select(jobs)
        .where(
            jobs.c.project == project,
            jobs.c.kind == "finetune",
            jobs.c.status == "succeeded",
            jobs.c.attempt == 1,
        )
        .order_by(jobs.c.id.desc())
        .limit(limit)
    )
    return (await connection.execute(statement)).all()


async def place(connection: AsyncConnection, *, priority: int, slots: int) -> Queue | None:
    """Return where a fine-tune would wait if it were queued now; None where a slot is free."""
    in_lane = jobs.c.kind.in_(TRAIN_KINDS)
    running = (
        (await connection.execute(select(jobs.c.progress).where(in_lane, jobs.c.status.in_(LIVE))))
        .scalars()
        .all()
    )
    ahead = select(func.count()).where(
        in_lane, jobs.c.status == "queued", jobs.c.priority >= priority
    )
    waiting = (await connection.execute(ahead)).scalar_one()
    if len(running) + waiting < slots:
        return None
    left = [None if each is None else each.eta_seconds for each in running]
    known = [seconds for seconds in left if seconds is not None]
    soonest = min(known) if known and len(known) == len(left) and not waiting else None
    return Queue(position=waiting + 1, reason="waiting-for-device", eta_seconds=soonest)


async def unsettled(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """Return the jobs that the user wants otherwise than they are: to cancel, pause or resume."""
    statement = select(jobs).where(
        or_(
            and_(jobs.c.desired == "cancel", jobs.c.status.in_(["queued", "paused"])),
            and_(jobs.c.desired == "cancel", jobs.c.status.in_(["running", "pausing"])),
            and_(jobs.c.desired == "pause", jobs.c.status == "running"),
            and_(
                jobs.c.desired == "run",
                jobs.c.status == "paused",
                or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now()),
            ),
        )
    )
    return (await connection.execute(statement)).all()


async def evaluated(connection: AsyncConnection) -> set[str]:
    """Return the checkpoints that an evaluation needs which has not ended."""
    statement = select(jobs.c.spec).where(jobs.c.kind == "evaluate", jobs.c.status.not_in(TERMINAL))
    specs = (await connection.execute(statement)).scalars()
    return {spec["checkpoint"] for spec in specs if spec.get("checkpoint")}


async def pending_evaluations(
    connection: AsyncConnection, project: str, dataset: str
) -> list[EvaluateSpec]:
    """Return the evaluations on a dataset that have not ended."""
    statement = select(jobs.c.spec).where(
        jobs.c.project == project,
        jobs.c.dataset == dataset,
        jobs.c.kind == "evaluate",
        jobs.c.status.not_in(TERMINAL),
    )
    specs = (await connection.execute(statement)).scalars()
    return [msgspec.convert(spec, EvaluateSpec) for spec in specs]


async def live(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """Return the jobs that a child was working on when the supervisor last wrote."""
    return (await connection.execute(select(jobs).where(jobs.c.status.in_(LIVE)))).all()


async def events(
    connection: AsyncConnection, job_id: str, *, after: int, limit: int = 1000
) -> EventList:
    """Return the events of a job whose seq is above `after`, oldest first."""
    statement = (
        select(job_events)
        .where(job_events.c.job == job_id, job_events.c.seq > after)
        .order_by(job_events.c.seq)
        .limit(limit + 1)
    )
    rows = (await connection.execute(statement)).all()
    shown = [_event(row) for row in rows[:limit]]
    last_seq = shown[-1].seq if shown else after
    return EventList(data=shown, has_more=len(rows) > limit, last_seq=last_seq)


async def metrics(connection: AsyncConnection, job_id: str) -> list[MetricPoint]:
    """Return the metrics of a job; of a step that was replayed, the last attempt's."""
    statement = (
        select(job_events.c.data)
        .where(job_events.c.job == job_id, job_events.c.type == "metric")
        .order_by(job_events.c.seq)
    )
    points: dict[int, dict[str, Any]] = {}
    for data in (await connection.execute(statement)).scalars():
        step = data["step"]
        values = {name: value for name, value in data.items() if name != "step"}
        points.setdefault(step, {}).update(values)
    return [MetricPoint(step=step, values=values) for step, values in sorted(points.items())]


async def _append(
    connection: AsyncConnection,
    row: Row[Any],
    first_seq: int,
    entries: Sequence[tuple[EventType, dict[str, Any]]],
) -> None:
    moment = now()
    await connection.execute(
        insert(job_events),
        [
            {
                "job": row.id,
                "seq": first_seq + i,
                "project": row.project,
                "at": moment,
                "attempt": row.attempt,
                "type": kind,
                "data": data,
            }
            for i, (kind, data) in enumerate(entries)
        ],
    )


async def _queue(connection: AsyncConnection, row: Row[Any]) -> Queue | None:
    if row.status != "queued":
        return None
    lane = TRAIN_KINDS if row.kind in TRAIN_KINDS else LIGHT_KINDS
    ahead = select(func.count()).where(
        jobs.c.status == "queued",
        jobs.c.kind.in_(lane),
        or_(
            jobs.c.priority > row.priority,
            and_(jobs.c.priority == row.priority, jobs.c.id < row.id),
        ),
    )
    position = (await connection.execute(ahead)).scalar_one() + 1
    if row.not_before is not None and row.not_before > now():
        return Queue(position=position, reason="backing-off")
    reason: QueueReason = "waiting-for-device" if lane is TRAIN_KINDS else "waiting-for-slot"
    return Queue(position=position, reason=reason)


def _event(row: Row[Any]) -> Event:
    return Event(seq=row.seq, at=stamp(row.at), job=row.job, type=row.type, data=row.data)


def _struct(row: Row[Any], queue: Queue | None) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        terminal=ends(row.status),
        attempt=row.attempt,
        priority=row.priority,
        queue=queue,
        progress=row.progress,
        resolved=row.resolved,
        result=row.result,
        stop_reason=row.stop_reason,
        error=row.error,
        spec=row.spec,
        created_at=stamp(row.created_at),
        started_at=stamp_or_none(row.started_at),
        finished_at=stamp_or_none(row.finished_at),
    )
