"""The same tests on SQLite and on PostgreSQL."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from tests import postgres

from tunery_server.db.engine import Database
from tunery_server.db.migrate import upgrade

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are missing: nothing is tested on it")
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_url(postgres_cluster: postgres.Cluster) -> str:
    return postgres_cluster.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'tunery.db'}"
    template = request.getfixturevalue("postgres_url")
    name = f"test_{next(_numbers)}"
    asyncio.run(_create(template.format(name="postgres"), name))
    return template.format(name=name)


@pytest.fixture
def run(database_url: str) -> Callable:
    """Run a coroutine function on a fresh, migrated database."""

    def call(body: Callable) -> object:
        async def with_database() -> object:
            database = Database(database_url)
            try:
                await upgrade(database)
                return await body(database)
            finally:
                await database.close()

        return asyncio.run(with_database())

    return call


async def _create(url: str, name: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
