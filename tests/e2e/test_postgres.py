"""The service on PostgreSQL: the same processes, another database."""

import asyncio
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from tests.e2e import service as e2e
from tests.server.db.conftest import postgres_url

__all__ = ["postgres_url"]


def test_a_dataset_is_made_and_read_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    asyncio.run(create_database(postgres_url.format(name="postgres")))
    service = e2e.Service(tmp_path / "d", database_url=postgres_url.format(name="service"))
    service.start()
    try:
        with service.client() as client:
            made = e2e.dataset(client)
            rows = client.get(f"/datasets/{made['id']}/rows", params={"split": "test"}).json()
            job = e2e.ended(client, made["job"])
    finally:
        assert service.stop() == 0

    assert len(rows["data"]) == 20
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert not (tmp_path / "d" / "tunery.db").exists()


async def create_database(url: str) -> None:
    """Make an empty database."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("CREATE DATABASE service"))
    await engine.dispose()
