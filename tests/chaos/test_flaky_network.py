"""The full count of calls through a broken network: ten thousand."""

from collections.abc import Iterator

import pytest
from tests.chaos.awaited import CLIENTS
from tests.chaos.proxy import broken_network
from tests.chaos.traffic import Target, drive
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK
from tests.e2e.test_flaky_network import port_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Return a service that predicts and evaluates, and whose fine-tunes stay in the queue."""
    data_dir = tmp_path_factory.mktemp("f") / "d"
    with e2e.running(data_dir) as service, service.client() as client:
        tickets = e2e.dataset(client)
        job = e2e.finetune(client, tickets["id"], hyperparameters=QUICK)
        version = e2e.ended(client, job["id"])["result"]["version"]
    with e2e.running(data_dir, devices="none") as service:
        with service.client() as client:
            e2e.deployed(client, "intent", version)
        yield Target(
            data_dir=data_dir,
            direct_url=service.url,
            api_key=(data_dir / "admin.key").read_text().strip(),
            dataset=tickets["id"],
            ingest=tickets["job"],
            version=version,
            deployment="intent",
        )


@pytest.mark.parametrize(("kind", "seed"), [("Client", 3), ("AsyncClient", 4)])
def test_10000_calls_through_a_broken_network_hang_and_double_nothing(
    target: Target, kind: str, seed: int
) -> None:
    with CLIENTS[kind]() as new, broken_network(port_of(target), seed=42) as proxy:
        outcome = drive(
            target, proxy, calls=10_000, threads=8, timeout_seconds=8.0, seed=seed, new=new
        )

    print(outcome.line())
    for each in outcome.broken[:50]:
        print(each)
    assert outcome.broken == []
