"""Evaluations, and how often a test split has been read."""

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Evaluation, Page
from tunery_server.db.columns import now
from tunery_server.db.queries.pages import page_of
from tunery_server.db.tables import evaluations


async def add(connection: AsyncConnection, project: str, evaluation: Evaluation) -> None:
    """Store an evaluation."""
    await connection.execute(
        insert(evaluations).values(
            id=evaluation.id,
            project=project,
            job=evaluation.job,
            dataset=evaluation.dataset,
            split=evaluation.split,
            version=evaluation.version,
            evaluation=evaluation,
            created_at=now(),
        )
    )


async def get(connection: AsyncConnection, project: str, evaluation_id: str) -> Evaluation | None:
    """Return an evaluation."""
    statement = select(evaluations.c.evaluation).where(
        evaluations.c.project == project, evaluations.c.id == evaluation_id
    )
    return (await connection.execute(statement)).scalar_one_or_none()


async def list_page(
    connection: AsyncConnection,
    project: str,
    *,
    limit: int,
    after: str | None,
    dataset: str | None = None,
    version: str | None = None,
) -> Page[Evaluation]:
    """Return a page of evaluations."""
    statement = select(evaluations).where(evaluations.c.project == project)
    if dataset is not None:
        statement = statement.where(evaluations.c.dataset == dataset)
    if version is not None:
        statement = statement.where(evaluations.c.version == version)
    return await page_of(
        connection,
        statement,
        evaluations.c.id,
        lambda row: row.evaluation,
        limit=limit,
        after=after,
    )


async def uses(connection: AsyncConnection, dataset: str, split: str) -> int:
    """Return how many evaluations have read this split."""
    statement = select(func.count()).where(
        evaluations.c.dataset == dataset, evaluations.c.split == split
    )
    return (await connection.execute(statement)).scalar_one()
