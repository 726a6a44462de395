"""Idempotency keys: the first request's answer, for whoever sends it again.

The answer is kept in the transaction that made the resource, so neither exists without the other.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.columns import now
from tunery_server.db.tables import idempotency

KEPT = timedelta(hours=24)


async def find(connection: AsyncConnection, project: str, key: str) -> Row[Any] | None:
    """Return the kept answer to the first request with this key."""
    statement = select(idempotency).where(
        idempotency.c.project == project,
        idempotency.c.key == key,
        idempotency.c.created_at >= now() - KEPT,
    )
    return (await connection.execute(statement)).one_or_none()


async def keep(connection: AsyncConnection, **values: Any) -> None:
    """Keep an answer, and forget those that are too old.

    Raises:
        IntegrityError: another transaction has kept one meanwhile; look again.
    """
    await connection.execute(delete(idempotency).where(idempotency.c.created_at < now() - KEPT))
    await connection.execute(insert(idempotency).values(created_at=now(), **values))
