"""Models: immutable numbered versions."""

from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Model, ModelVersion, Page
from tunery_server.db.columns import stamp
from tunery_server.db.tables import versions


async def register(connection: AsyncConnection, **values: Any) -> ModelVersion:
    """Store the next version of a model and return it."""
    if connection.dialect.name == "postgresql":
        # Two that end together must not get the same number; SQLite lets one write at a time.
        name = f"{values['project']}/{values['model']}"
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))
    newest = select(func.coalesce(func.max(versions.c.number), 0)).where(
        versions.c.project == values["project"], versions.c.model == values["model"]
    )
    number = (await connection.execute(newest)).scalar_one() + 1
    statement = insert(versions).values(number=number, **values).returning(*versions.c)
    return _struct((await connection.execute(statement)).one())


async def row_of(connection: AsyncConnection, project: str, version: str) -> Row[Any] | None:
    """Return the row of a version such as `intent/3`; it names the artifact."""
    model, _, number = version.rpartition("/")
    if not model or not number.isdecimal() or len(number) > 9:
        return None
    statement = select(versions).where(
        versions.c.project == project,
        versions.c.model == model,
        versions.c.number == int(number),
    )
    return (await connection.execute(statement)).one_or_none()


async def lineage(connection: AsyncConnection, version: Row[Any]) -> list[str]:
    """Return the names of a version and of what it was made from, the base model last."""
    names = [f"{version.model}/{version.number}", str(version.base_model)]
    while (parent := await row_of(connection, version.project, names[-1])) is not None:
        names.append(parent.base_model)
    return names


async def get(connection: AsyncConnection, project: str, version: str) -> ModelVersion | None:
    """Return a version."""
    row = await row_of(connection, project, version)
    return None if row is None else _struct(row)


async def get_model(connection: AsyncConnection, project: str, name: str) -> Model | None:
    """Return a model with its newest version."""
    statement = (
        select(versions)
        .where(versions.c.project == project, versions.c.model == name)
        .order_by(versions.c.number.desc())
    )
    rows = (await connection.execute(statement)).all()
    return Model(name=name, versions=len(rows), latest=_struct(rows[0])) if rows else None


async def list_page(
    connection: AsyncConnection, project: str, *, limit: int, after: str | None
) -> Page[Model]:
    """Return a page of models, by name."""
    names = (
        select(versions.c.model)
        .where(versions.c.project == project)
        .group_by(versions.c.model)
        .order_by(versions.c.model)
        .limit(limit + 1)
    )
    if after is not None:
        names = names.where(versions.c.model > after)
    found = (await connection.execute(names)).scalars().all()
    models = [await get_model(connection, project, name) for name in found[:limit]]
    shown = [model for model in models if model is not None]
    return Page(data=shown, has_more=len(found) > limit, last_id=shown[-1].name if shown else None)


async def artifacts(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all versions, of every project."""
    return set((await connection.execute(select(versions.c.artifact))).scalars())


def _struct(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        version=f"{row.model}/{row.number}",
        model=row.model,
        number=row.number,
        task=row.task,
        labels=row.labels,
        base_model=row.base_model,
        dataset=row.dataset,
        dataset_fingerprint=row.dataset_fingerprint,
        job=row.job,
        checkpoint=row.checkpoint,
        manifest_sha256=row.manifest_sha256,
        bytes=row.bytes,
        parity=row.parity,
        seal=row.seal,
        created_at=stamp(row.created_at),
    )
