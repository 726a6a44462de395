"""API keys: only the SHA-256 of each is stored; it has full entropy, so a fast hash is right."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Key, Page
from tunery_server.db.columns import now, stamp, stamp_or_none
from tunery_server.db.queries.pages import page_of
from tunery_server.db.tables import keys

USE_RECORDED = timedelta(minutes=1)  # at most so often of each key


async def add(connection: AsyncConnection, **values: Any) -> Key:
    """Store a key and return it."""
    row = (await connection.execute(insert(keys).values(**values).returning(*keys.c))).one()
    return _struct(row)


async def renew(
    connection: AsyncConnection, project: str, key_id: str, sha256: bytes
) -> Key | None:
    """Let another secret be the key's only one; return the key, if it is still there."""
    statement = (
        update(keys)
        .where(keys.c.project == project, keys.c.id == key_id)
        .values(sha256=sha256)
        .returning(*keys.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _struct(row)


async def count(connection: AsyncConnection) -> int:
    """Return how many keys there are."""
    return (await connection.execute(select(func.count()).select_from(keys))).scalar_one()


async def all_rows(connection: AsyncConnection) -> list[Row[Any]]:
    """Return every key's row, of every project."""
    return list((await connection.execute(select(keys))).all())


async def row_of(connection: AsyncConnection, project: str, key_id: str) -> Row[Any] | None:
    """Return a key's row."""
    statement = select(keys).where(keys.c.project == project, keys.c.id == key_id)
    return (await connection.execute(statement)).one_or_none()


async def list_page(
    connection: AsyncConnection, project: str, *, limit: int, after: Row[Any] | None
) -> Page[Key]:
    """Return a page of keys: their ids are random, so their age orders them."""
    statement = select(keys).where(keys.c.project == project).order_by(keys.c.created_at.desc())
    if after is not None:
        older = keys.c.created_at < after.created_at
        as_old = keys.c.created_at == after.created_at
        statement = statement.where(or_(older, and_(as_old, keys.c.id < after.id)))
    return await page_of(connection, statement, keys.c.id, _struct, limit=limit, after=None)


async def lock_admins(connection: AsyncConnection, project: str) -> Sequence[Row[Any]]:
    """Return the admin keys of a project; until the transaction ends, nobody else removes one."""
    statement = (
        select(keys)
        .where(keys.c.project == project, keys.c.scope == "admin")
        .order_by(keys.c.id)
        .with_for_update()
    )
    return (await connection.execute(statement)).all()


async def remove(connection: AsyncConnection, project: str, key_id: str) -> None:
    """Remove a key."""
    await connection.execute(delete(keys).where(keys.c.project == project, keys.c.id == key_id))


async def record_use(connection: AsyncConnection, key_id: str) -> None:
    """Write down that a key was used, unless that was done within the last minute."""
    moment = now()
    used_long_ago = keys.c.last_used_at <= moment - USE_RECORDED
    await connection.execute(
        update(keys)
        .where(keys.c.id == key_id, or_(keys.c.last_used_at.is_(None), used_long_ago))
        .values(last_used_at=moment)
    )


def _struct(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scope=row.scope,
        created_at=stamp(row.created_at),
        expires_at=stamp_or_none(row.expires_at),
        last_used_at=stamp_or_none(row.last_used_at),
    )
