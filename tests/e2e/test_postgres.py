"""The service on PostgreSQL: the same processes, another database."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from tests.e2e import service as e2e
from tests.postgres import Cluster
from tests.server.db.conftest import postgres_cluster

__all__ = ["postgres_cluster"]

AWAY_SECONDS = 4.0  # in which every part of the service looks for it in vain


def test_a_service_on_postgresql_outlives_a_restart_of_it(
    postgres_cluster: Cluster, tmp_path: Path
) -> None:
    url = postgres_cluster.url
    asyncio.run(create_database(url.format(name="postgres")))
    service = e2e.Service(tmp_path / "d", database_url=url.format(name="service"))
    service.start()
    try:
        assert service.process is not None
        with service.client() as client:
            made = e2e.dataset(client)
            body = {"name": "interrupted", "file": e2e.upload(client, e2e.DEMO_TICKETS)}
            interrupted = client.post("/datasets", json=body).json()
            path = f"/jobs/{interrupted['job']}"
            e2e.wait_for(client, path, lambda job: job["status"] != "queued")
            postgres_cluster.stop()
            refused = client.get("/datasets")
            time.sleep(AWAY_SECONDS)
            assert service.process.poll() is None, service.log()
            postgres_cluster.start()
            again = e2e.dataset(client, name="again")
            rows = client.get(f"/datasets/{made['id']}/rows", params={"split": "test"}).json()
            jobs = [e2e.ended(client, each["job"]) for each in (made, again)]
            interrupted = e2e.ended(client, interrupted["job"])
    finally:
        assert service.stop() == 0

    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert len(rows["data"]) == 20
    assert [(job["status"], job["attempt"]) for job in jobs] == [("succeeded", 1)] * 2
    assert (interrupted["status"], interrupted["attempt"]) == ("succeeded", 2)
    assert not (tmp_path / "d" / "tunery.db").exists()


async def create_database(url: str) -> None:
    """Make an empty database."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("CREATE DATABASE service"))
    await engine.dispose()
