"""Keys: the migration that lets them expire, and what is written while others write."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text, update

from tunery_server.db.columns import now
from tunery_server.db.engine import Database
from tunery_server.db.migrate import upgrade
from tunery_server.db.queries import keys
from tunery_server.db.tables import keys as table
from tunery_server.db.tables import metadata


async def add(database: Database, key_id: str, scope: str = "admin", **values: Any) -> None:
    values = {"created_at": now(), **values}
    async with database.write() as connection:
        await keys.add(
            connection,
            id=key_id,
            project="default",
            name="n",
            scope=scope,
            sha256=b"\1" * 32,
            **values,
        )


async def last_use(database: Database, key_id: str) -> datetime | None:
    async with database.read() as connection:
        row = await keys.row_of(connection, "default", key_id)
    assert row is not None
    moment: datetime | None = row.last_used_at
    return moment


def test_keys_of_the_first_schema_stay_and_never_expire(database_url: str) -> None:
    async def body() -> list[Any]:
        database = Database(database_url)
        try:
            await upgrade(database, "0001")
            async with database.write() as connection:
                await connection.execute(
                    text("INSERT INTO keys VALUES ('k', 'default', 'n', 'admin', :sha256, 1)"),
                    {"sha256": b"\1" * 32},
                )
            await upgrade(database)
            async with database.read() as connection:
                rows = await keys.all_rows(connection)
            return [tuple(row) for row in rows]
        finally:
            await database.close()

    (row,) = asyncio.run(body())

    assert row[:5] == ("k", "default", "n", "admin", b"\1" * 32)
    assert row[5].timestamp() == 1e-6
    assert row[6:] == (None, None)


def test_migrations_make_the_tables_that_the_code_knows(run: Callable) -> None:
    async def body(database: Database) -> list[Any]:
        async with database.read() as connection:
            return await connection.run_sync(
                lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
            )

    assert run(body) == []


def test_use_is_written_down_again_after_a_minute(run: Callable) -> None:
    async def body(database: Database) -> list[bool]:
        await add(database, "k")
        seen = []
        for seconds_ago in (None, 50, 70):
            if seconds_ago is not None:
                async with database.write() as connection:
                    moment = now() - timedelta(seconds=seconds_ago)
                    await connection.execute(update(table).values(last_used_at=moment))
            before = await last_use(database, "k")
            async with database.write() as connection:
                await keys.record_use(connection, "k")
            seen.append(await last_use(database, "k") != before)
        return seen

    assert run(body) == [True, False, True]


def test_keys_of_the_same_moment_have_one_order(run: Callable) -> None:
    async def body(database: Database) -> list[str]:
        moment = now()
        for key_id in ("b", "c", "a"):
            await add(database, key_id, created_at=moment)
        found: list[str] = []
        after = None
        for _ in range(3):
            async with database.read() as connection:
                page = await keys.list_page(connection, "default", limit=1, after=after)
                after = await keys.row_of(connection, "default", page.data[0].id)
            found += [key.id for key in page.data]
        return found

    assert run(body) == ["c", "b", "a"]


def test_two_who_remove_each_other_leave_one(run: Callable) -> None:
    async def body(database: Database) -> int:
        await add(database, "a")
        await add(database, "b")

        looked: list[int] = []
        both_looked = asyncio.Event()

        async def remove(key_id: str) -> None:
            async with database.write() as connection:
                looked.append(len(await keys.lock_admins(connection, "default")))
                if len(looked) == 2:
                    both_looked.set()
                # With a lock this never comes true for the first; without one it does at once.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await both_looked.wait()
                if looked[-1] > 1:
                    await keys.remove(connection, "default", key_id)

        await asyncio.gather(remove("a"), remove("b"))
        async with database.read() as connection:
            return await keys.count(connection)

    assert run(body) == 1
