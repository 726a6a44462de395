"""One service for all tests that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e import service as e2e

# Enough steps to learn something of the demo tickets, in seconds.
QUICK = {"max_steps": 16, "batch_size": 16, "max_length": 32}
# Small steps, many of them: there is time to act between two checkpoints.
LONG = {**QUICK, "batch_size": 4, "max_steps": 60, "early_stopping": None, "refit": False}
SAVED = {"every": 15}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[e2e.Service]:
    with e2e.running(tmp_path_factory.mktemp("s"), workers=2, spares=1) as running:
        yield running


@pytest.fixture(scope="session")
def client(service: e2e.Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def tickets(client: httpx.Client) -> dict:
    """Return the demo tickets as a dataset."""
    return e2e.dataset(client)


@pytest.fixture(scope="session")
def versions(client: httpx.Client, tickets: dict) -> list[dict]:
    """Return the jobs of two versions that answer differently."""
    jobs = [
        e2e.finetune(client, tickets["id"], evaluated=True, hyperparameters={**QUICK, "seed": seed})
        for seed in (1, 2)
    ]
    made = [e2e.ended(client, job["id"]) for job in jobs]
    assert [job["status"] for job in made] == ["succeeded", "succeeded"], made
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[e2e.Service]:
    """Return a service of this test's own, not yet started."""
    service = e2e.Service(tmp_path / "d")
    yield service
    if service.process is not None and service.process.poll() is None:
        service.stop()
