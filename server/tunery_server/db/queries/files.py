"""Files."""

from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import File
from tunery_server.db.columns import stamp
from tunery_server.db.tables import files


async def add(connection: AsyncConnection, **values: Any) -> File:
    """Store a file's row and return it."""
    row = (await connection.execute(insert(files).values(**values).returning(*files.c))).one()
    return _struct(row)


async def get(connection: AsyncConnection, project: str, file_id: str) -> File | None:
    """Return a file."""
    statement = select(files).where(files.c.project == project, files.c.id == file_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _struct(row)


async def remove(connection: AsyncConnection, project: str, file_id: str) -> str | None:
    """Remove a file's row and return its sha256."""
    statement = delete(files).where(files.c.project == project, files.c.id == file_id)
    return (await connection.execute(statement.returning(files.c.sha256))).scalar_one_or_none()


async def is_stored(connection: AsyncConnection, sha256: str) -> bool:
    """Return whether a row, of any project, names these bytes."""
    statement = select(files.c.id).where(files.c.sha256 == sha256).limit(1)
    return (await connection.execute(statement)).first() is not None


async def sha256s(connection: AsyncConnection) -> set[str]:
    """Return the hashes of all stored files, of every project."""
    return set((await connection.execute(select(files.c.sha256))).scalars())


def artifact(sha256: str) -> str:
    """Return the artifact that holds the bytes of this hash."""
    return f"files/{sha256}"


def _struct(row: Row[Any]) -> File:
    return File(
        id=row.id,
        name=row.name,
        bytes=row.bytes,
        sha256=row.sha256,
        media_type=row.media_type,
        created_at=stamp(row.created_at),
    )
