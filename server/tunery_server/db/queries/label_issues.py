"""Label issues of datasets. The job that found them is their record; it names where they stand."""

from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.tables import datasets, jobs

KIND = "label-issues"


def artifact_of(job: str, attempt: int) -> str:
    """Return where a job leaves its list; each attempt has a place of its own."""
    return f"{KIND}/{job}-{attempt}"


async def newest(connection: AsyncConnection, dataset: str) -> Row[Any, Any] | None:
    """Return the newest job that has found the label issues of a dataset."""
    statement = _succeeded().where(jobs.c.dataset == dataset).order_by(jobs.c.id.desc()).limit(1)
    return (await connection.execute(statement)).one_or_none()


async def of_dataset(connection: AsyncConnection, dataset: str) -> list[str]:
    """Return the artifacts of all lists of a dataset."""
    rows = await connection.execute(_succeeded().where(jobs.c.dataset == dataset))
    return [artifact_of(row.id, row.attempt) for row in rows]


async def artifacts(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all lists whose dataset is there, of every project."""
    rows = await connection.execute(_succeeded().join(datasets, datasets.c.id == jobs.c.dataset))
    return {artifact_of(row.id, row.attempt) for row in rows}


def _succeeded() -> Select[Any, Any]:
    return select(jobs.c.id, jobs.c.attempt).where(
        jobs.c.kind == KIND, jobs.c.status == "succeeded"
    )
