"""Datasets: versions of a name, written by the API when asked for, by the supervisor when made."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Dataset, DatasetSpec, Page
from tunery_server.db.columns import stamp
from tunery_server.db.queries.pages import page_of
from tunery_server.db.tables import datasets


async def add(connection: AsyncConnection, **values: Any) -> Dataset:
    """Store a dataset that is being validated and return it."""
    values |= {"status": "validating", "warnings": 0, "errors": 0}
    row = (await connection.execute(insert(datasets).values(**values).returning(*datasets.c))).one()
    return _struct(row)


async def newest(connection: AsyncConnection, project: str, name_folded: str) -> Dataset | None:
    """Return the newest version of a name, compared without case."""
    statement = (
        select(datasets)
        .where(datasets.c.project == project, datasets.c.name_folded == name_folded)
        .order_by(datasets.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _struct(row)


async def newest_ready(
    connection: AsyncConnection, project: str, name_folded: str, *, below: int
) -> Row[Any] | None:
    """Return the row of the newest ready version of a name before version `below`."""
    statement = (
        select(datasets)
        .where(
            datasets.c.project == project,
            datasets.c.name_folded == name_folded,
            datasets.c.version < below,
            datasets.c.status == "ready",
        )
        .order_by(datasets.c.version.desc())
        .limit(1)
    )
    return (await connection.execute(statement)).one_or_none()


async def get(connection: AsyncConnection, project: str, dataset_id: str) -> Dataset | None:
    """Return a dataset."""
    row = await row_of(connection, project, dataset_id)
    return None if row is None else _struct(row)


async def row_of(connection: AsyncConnection, project: str, dataset_id: str) -> Row[Any] | None:
    """Return a dataset's row, which also names its spec and its artifact."""
    statement = select(datasets).where(datasets.c.project == project, datasets.c.id == dataset_id)
    return (await connection.execute(statement)).one_or_none()


async def list_page(
    connection: AsyncConnection,
    project: str,
    *,
    limit: int,
    after: str | None,
    status: str | None = None,
    name: str | None = None,
) -> Page[Dataset]:
    """Return a page of datasets."""
    statement = select(datasets).where(datasets.c.project == project)
    if status is not None:
        statement = statement.where(datasets.c.status == status)
    if name is not None:
        statement = statement.where(datasets.c.name == name)
    return await page_of(connection, statement, datasets.c.id, _struct, limit=limit, after=after)


async def settle(connection: AsyncConnection, dataset_id: str, **values: Any) -> None:
    """Write what the ingest found; a dataset is settled once."""
    await connection.execute(
        update(datasets)
        .where(datasets.c.id == dataset_id, datasets.c.status == "validating")
        .values(**values)
    )


async def remove(connection: AsyncConnection, project: str, dataset_id: str) -> str | None:
    """Remove a dataset's row and return the artifact that nothing names any more."""
    statement = delete(datasets).where(datasets.c.project == project, datasets.c.id == dataset_id)
    found = await connection.execute(statement.returning(datasets.c.artifact))
    return found.scalar_one_or_none()


async def uses_file(connection: AsyncConnection, project: str, file_id: str) -> bool:
    """Return whether a dataset is being made from the file."""
    statement = select(datasets.c.spec).where(
        datasets.c.project == project,
        datasets.c.status == "validating",
        datasets.c.transforms.is_(None),  # else it is made from its parent's rows
    )
    for spec in (await connection.execute(statement)).scalars():
        named = [spec.file]
        if spec.files is not None:
            named += [spec.files.train, spec.files.validation, spec.files.test]
        if file_id in named:
            return True
    return False


async def may_be_read(connection: AsyncConnection, row: Row[Any]) -> bool:
    """Return whether a later version is being made, whose ingest may read this one's rows."""
    if row.status != "ready":
        return False
    statement = select(datasets.c.id).where(
        datasets.c.project == row.project,
        datasets.c.name_folded == row.name_folded,
        datasets.c.version > row.version,
        datasets.c.status == "validating",
    )
    return (await connection.execute(statement.limit(1))).first() is not None


async def artifacts(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all datasets, of every project."""
    statement = select(datasets.c.artifact).where(datasets.c.artifact.is_not(None))
    return set((await connection.execute(statement)).scalars())


async def known(connection: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Return those of the ids that are a dataset's, of any project."""
    statement = select(datasets.c.id).where(datasets.c.id.in_(ids))
    return set((await connection.execute(statement)).scalars())


def _struct(row: Row[Any]) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        version=row.version,
        parent=row.parent,
        status=row.status,
        task=row.task,
        job=row.job,
        columns=row.columns,
        splits=row.splits,
        labels=row.labels,
        fingerprint=row.fingerprint,
        warnings=row.warnings,
        errors=row.errors,
        error=row.error,
        created_at=stamp(row.created_at),
        transforms=row.transforms or [],
    )


def carves_validation(spec: DatasetSpec) -> bool:
    """Return whether the user left it to tunery which rows are for validation."""
    given = spec.files is not None and spec.files.validation is not None
    return not given and spec.split.column is None
