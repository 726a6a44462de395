"""The SDK behind a network that breaks: nothing hangs, nothing is done twice."""

import uuid
from collections.abc import Iterator

import httpx
import pytest
from tests.chaos.awaited import CLIENTS
from tests.chaos.proxy import NONE, WEIGHTS, broken_network
from tests.chaos.traffic import Target, drive
from tests.e2e import service as e2e

# One in three requests meets a fault, so that few calls meet all of them.
DENSE = {**WEIGHTS, NONE: 450}
LOST_ANSWERS = {NONE: 40, "reset-before-answer": 30, "502-after": 30}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Return a service whose fine-tunes stay in the queue."""
    with e2e.running(tmp_path_factory.mktemp("f") / "d", devices="none") as service:
        with service.client() as client:
            tickets = e2e.dataset(client)
        yield Target(
            data_dir=service.data_dir,
            direct_url=service.url,
            api_key=(service.data_dir / "admin.key").read_text().strip(),
            dataset=tickets["id"],
            ingest=tickets["job"],
        )


@pytest.mark.parametrize(("kind", "seed"), [("Client", 1), ("AsyncClient", 2)])
def test_calls_through_a_broken_network_end_in_time_and_do_nothing_twice(
    target: Target, kind: str, seed: int
) -> None:
    with CLIENTS[kind]() as new, broken_network(port_of(target), seed=7, weights=DENSE) as proxy:
        outcome = drive(
            target, proxy, calls=200, threads=4, timeout_seconds=3.0, seed=seed, new=new
        )

    print(outcome.line())
    assert outcome.broken == []
    assert outcome.successes > 100
    assert len(outcome.faults) > 10


def test_the_check_finds_the_doubles_of_a_client_that_changes_its_keys(target: Target) -> None:
    with broken_network(port_of(target), seed=8, weights=LOST_ANSWERS) as proxy:
        outcome = drive(
            target, proxy, calls=80, threads=4, timeout_seconds=3.0, seed=3, transport=NewKeys
        )

    print(outcome.line())
    assert outcome.doubles != []


class NewKeys(httpx.HTTPTransport):
    """A mistake: every try of a call has another Idempotency-Key."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if "Idempotency-Key" in request.headers:
            request.headers["Idempotency-Key"] = uuid.uuid4().hex
        return super().handle_request(request)


def port_of(target: Target) -> int:
    port = httpx.URL(target.direct_url).port
    assert port is not None
    return port
