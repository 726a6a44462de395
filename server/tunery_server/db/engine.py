"""The connection to the database: SQLite with WAL and full sync, or PostgreSQL."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine


class Unreachable(Exception):
    """No connection to the database could be made."""


FAILURES = (DBAPIError, Unreachable)  # of a database, and not of who asks


class Database:
    """A pool of connections; `read` and `write` are its only two doors."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _on_connect)
            event.listen(self.engine.sync_engine, "begin", _on_begin)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that only reads; it sees one state of the database."""
        async with self._connected() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that is committed, durably, when the block ends without an error."""
        async with self._connected() as connection:
            await connection.execution_options(tunery_write=True)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[AsyncConnection]:
        connection = self.engine.connect()
        try:
            await connection.start()
        except DBAPIError:
            raise
        except Exception as error:  # a driver's own, which SQLAlchemy leaves as they are
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        try:
            yield connection
        finally:
            await connection.close()


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin: _on_begin does
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit survives a power cut
        "busy_timeout=10000",  # milliseconds
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Any) -> None:
    # A deferred transaction that turns into a writer fails at once when another writer was
    # between; an immediate one waits its turn.
    write = connection.get_execution_options().get("tunery_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
