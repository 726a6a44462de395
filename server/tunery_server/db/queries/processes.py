"""Processes that this supervisor has started, so that the next one can end what is left of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.tables import processes


async def add(connection: AsyncConnection, **values: Any) -> None:
    """Record a process."""
    await connection.execute(insert(processes).values(**values))


async def remove(connection: AsyncConnection, pid: int, start_ticks: int) -> None:
    """Forget a process that has ended."""
    await connection.execute(
        delete(processes).where(processes.c.pid == pid, processes.c.start_ticks == start_ticks)
    )


async def all_rows(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """Return every recorded process."""
    return (await connection.execute(select(processes))).all()


async def clear(connection: AsyncConnection) -> None:
    """Forget all processes."""
    await connection.execute(delete(processes))
