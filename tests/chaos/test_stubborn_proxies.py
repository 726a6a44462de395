"""Events where no stream comes through: lists take its place, and nothing is missed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.chaos.awaited import event_loop
from tests.chaos.stubborn import stubborn_network
from tests.e2e import service as e2e

import tunery

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[e2e.Service]:
    """Return a service that runs no fine-tune."""
    with e2e.running(tmp_path_factory.mktemp("i") / "d", devices="none") as running:
        yield running


@pytest.fixture(scope="module")
def idle_client(idle: e2e.Service) -> Iterator[httpx.Client]:
    with idle.client() as client:
        yield client


@pytest.fixture(scope="module")
def dataset(idle_client: httpx.Client) -> dict:
    return e2e.dataset(idle_client)


@pytest.mark.parametrize("ways", [["strips", "refuses"], ["hoards", "hoards-bodies"]], ids="+".join)
def test_all_events_arrive_where_streams_do_not(
    idle: e2e.Service, idle_client: httpx.Client, dataset: dict, ways: Sequence[str]
) -> None:
    job = e2e.finetune(idle_client, dataset["id"])
    key = (idle.data_dir / "admin.key").read_text().strip()

    def follow(client: Any) -> list[tuple[int, str]]:
        with client:
            return [(event.seq, event.type) for event in client.jobs.events(job["id"], timeout=60)]

    with event_loop() as new_awaited, ExitStack() as stack:
        proxies = [stack.enter_context(stubborn_network(idle.url, way)) for way in ways]
        pool = stack.enter_context(ThreadPoolExecutor(2 * len(ways)))
        watching = [
            pool.submit(follow, new_client(proxy.url, api_key=key))
            for proxy in proxies
            for new_client in (tunery.Client, new_awaited)
        ]

        def are_asked_for_lists() -> bool:
            ended = any(each.done() for each in watching)
            return ended or all(proxy.lists >= 2 for proxy in proxies)

        e2e.wait_until(are_asked_for_lists, "both clients ask for lists", seconds=30)
        idle_client.post(f"/jobs/{job['id']}/cancel")
        seen = [each.result(60) for each in watching]

    assert seen == [[(1, "state"), (2, "end")]] * len(watching)
