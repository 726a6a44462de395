"""Evaluations, in what order they stand, and how often a test split has been read."""

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Double,
    Row,
    Select,
    Text,
    and_,
    cast,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Evaluation, Page
from tunery_server.db.columns import now
from tunery_server.db.queries.pages import page_of
from tunery_server.db.tables import evaluations


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """Which evaluations a list has; null filters nothing."""

    dataset: str | None = None
    split: str | None = None
    version: str | None = None
    model: str | None = None


async def add(
    connection: AsyncConnection,
    project: str,
    evaluation: Evaluation,
    *,
    artifact: str,
    manifest_sha256: str,
) -> None:
    """Store an evaluation, whose rows stand in an artifact."""
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
            artifact=artifact,
            manifest_sha256=manifest_sha256,
        )
    )


async def get(connection: AsyncConnection, project: str, evaluation_id: str) -> Evaluation | None:
    """Return an evaluation."""
    row = await row_of(connection, project, evaluation_id)
    return None if row is None else row.evaluation


async def row_of(connection: AsyncConnection, project: str, evaluation_id: str) -> Row[Any] | None:
    """Return an evaluation's row, which also names its artifact."""
    statement = select(evaluations).where(
        evaluations.c.project == project, evaluations.c.id == evaluation_id
    )
    return (await connection.execute(statement)).one_or_none()


async def list_page(
    connection: AsyncConnection, project: str, wanted: Wanted, *, limit: int, after: str | None
) -> Page[Evaluation]:
    """Return a page of evaluations, newest first."""
    return await page_of(
        connection,
        _listed(project, wanted),
        evaluations.c.id,
        lambda row: row.evaluation,
        limit=limit,
        after=after,
    )


async def of_target(
    connection: AsyncConnection, project: str, target: str, *, dataset: str, split: str
) -> list[Row[Any]]:
    """Return the evaluations of a version or a checkpoint whose rows are kept, newest first."""
    version = target if "/" in target else None
    statement = (
        select(evaluations)
        .where(
            evaluations.c.project == project,
            evaluations.c.dataset == dataset,
            evaluations.c.split == split,
            evaluations.c.version.is_not_distinct_from(version),
            evaluations.c.artifact.is_not(None),
        )
        .order_by(evaluations.c.id.desc())
    )
    rows = (await connection.execute(statement)).all()
    return [row for row in rows if version or row.evaluation.checkpoint == target]


async def ranked_page(
    connection: AsyncConnection,
    project: str,
    wanted: Wanted,
    metric: str,
    *,
    falling: bool,
    limit: int,
    after: str | None,
) -> Page[Evaluation]:
    """Return a page of the evaluations that have a metric, by it; of equal ones the newest first.

    `after` is an evaluation that has it, too; after any other nothing comes.
    """
    figure, newest = _figure(connection, metric), evaluations.c.id
    statement = _listed(project, wanted).where(figure.is_not(None))
    if after is not None:
        last = select(figure).where(evaluations.c.project == project, newest == after)
        mark = (await connection.execute(last)).scalar()
        if mark is None:
            return Page(data=[], has_more=False, last_id=None)
        beyond = figure < mark if falling else figure > mark
        statement = statement.where(or_(beyond, and_(figure == mark, newest < after)))
    statement = statement.order_by(figure.desc() if falling else figure, newest.desc())
    rows = (await connection.execute(statement.limit(limit + 1))).all()
    shown = [row.evaluation for row in rows[:limit]]
    return Page(data=shown, has_more=len(rows) > limit, last_id=shown[-1].id if shown else None)


async def uses(connection: AsyncConnection, dataset: str, split: str) -> int:
    """Return how many evaluations have read this split."""
    statement = select(func.count()).where(
        evaluations.c.dataset == dataset, evaluations.c.split == split
    )
    return (await connection.execute(statement)).scalar_one()


async def artifacts(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all evaluations, of every project."""
    statement = select(evaluations.c.artifact).where(evaluations.c.artifact.is_not(None))
    return set((await connection.execute(statement)).scalars())


async def forget_rows(connection: AsyncConnection, dataset: str) -> list[str]:
    """Forget the rows of a dataset's evaluations, whose figures stay; return their artifacts."""
    statement = select(evaluations).where(
        evaluations.c.dataset == dataset, evaluations.c.artifact.is_not(None)
    )
    found = (await connection.execute(statement)).all()
    for row in found:
        told = [replace(finding, examples=[]) for finding in row.evaluation.findings]
        await connection.execute(
            update(evaluations)
            .where(evaluations.c.id == row.id)
            .values(artifact=None, evaluation=replace(row.evaluation, bytes=0, findings=told))
        )
    return [row.artifact for row in found]


def _listed(project: str, wanted: Wanted) -> Select[Any]:
    statement = select(evaluations).where(evaluations.c.project == project)
    for name in ("dataset", "split", "version"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(evaluations.c[name] == value)
    if wanted.model is not None:
        own = evaluations.c.version.startswith(f"{wanted.model}/", autoescape=True)
        statement = statement.where(own)
    return statement


def _figure(connection: AsyncConnection, metric: str) -> ColumnElement[float]:
    """Return the value of a metric, out of the JSON; null where there is none."""
    text = type_coerce(evaluations.c.evaluation, Text)
    if connection.dialect.name == "postgresql":
        value = func.jsonb_extract_path_text(cast(text, JSONB), "metrics", metric, "value")
        return cast(value, Double)
    # A path can't hold every name: that of a label's figure may have any sign in it.
    each = func.json_each(text, "$.metrics").table_valued("key", "value")
    figure = select(func.json_extract(each.c.value, "$.value", type_=Double))
    return figure.where(each.c.key == metric).scalar_subquery()
