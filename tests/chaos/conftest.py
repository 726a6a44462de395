"""The same services and databases as the end-to-end tests."""

from tests.e2e.conftest import client, fresh, service, tickets, versions
from tests.server.db.conftest import database_url, postgres_url
from tests.trainer.conftest import bench

__all__ = [
    "bench",
    "client",
    "database_url",
    "fresh",
    "postgres_url",
    "service",
    "tickets",
    "versions",
]
