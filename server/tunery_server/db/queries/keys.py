"""API keys: only the SHA-256 of each is stored; it has full entropy, so a fast hash is right."""

from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.tables import keys


async def add(connection: AsyncConnection, **values: Any) -> None:
    """Store a key."""
    await connection.execute(insert(keys).values(**values))


async def count(connection: AsyncConnection) -> int:
    """Return how many keys there are."""
    return (await connection.execute(select(func.count()).select_from(keys))).scalar_one()


async def all_rows(connection: AsyncConnection) -> list[Row[Any]]:
    """Return every key's row, of every project."""
    return list((await connection.execute(select(keys))).all())
