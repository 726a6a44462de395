"""Checkpoints of fine-tunes, and which of them are kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Checkpoint
from tunery_server.db.columns import stamp
from tunery_server.db.tables import checkpoints


async def add(connection: AsyncConnection, **values: Any) -> Checkpoint:
    """Store a checkpoint; one that is the best so far takes that mark from the others."""
    if values["best"]:
        await connection.execute(
            update(checkpoints).where(checkpoints.c.job == values["job"]).values(best=False)
        )
    statement = insert(checkpoints).values(**values).returning(*checkpoints.c)
    return _struct((await connection.execute(statement)).one())


async def of_job(connection: AsyncConnection, project: str, job_id: str) -> list[Checkpoint]:
    """Return the checkpoints of a job, newest first."""
    return [_struct(row) for row in await rows_of_job(connection, project, job_id)]


async def rows_of_job(connection: AsyncConnection, project: str, job_id: str) -> Sequence[Row[Any]]:
    """Return the rows of a job's checkpoints, newest first; they name the artifacts."""
    statement = (
        select(checkpoints)
        .where(checkpoints.c.project == project, checkpoints.c.job == job_id)
        .order_by(checkpoints.c.step.desc(), checkpoints.c.id.desc())
    )
    return (await connection.execute(statement)).all()


async def row_of(connection: AsyncConnection, project: str, checkpoint_id: str) -> Row[Any] | None:
    """Return a checkpoint's row."""
    statement = select(checkpoints).where(
        checkpoints.c.project == project, checkpoints.c.id == checkpoint_id
    )
    return (await connection.execute(statement)).one_or_none()


async def remove(connection: AsyncConnection, checkpoint_ids: Sequence[str]) -> None:
    """Remove rows; their artifacts go afterwards."""
    await connection.execute(delete(checkpoints).where(checkpoints.c.id.in_(checkpoint_ids)))


async def artifacts(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all checkpoints, of every project."""
    return set((await connection.execute(select(checkpoints.c.artifact))).scalars())


def _struct(row: Row[Any]) -> Checkpoint:
    return Checkpoint(
        id=row.id,
        job=row.job,
        step=row.step,
        epoch=row.epoch,
        metrics=row.metrics,
        best=row.best,
        bytes=row.bytes,
        manifest_sha256=row.manifest_sha256,
        created_at=stamp(row.created_at),
    )
