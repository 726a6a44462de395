"""Overload, deadlines, slow clients and drains in full counts.

python -m pytest -s -m chaos tests/chaos/test_overload.py
"""

import asyncio

import pytest
from tests.chaos import abandoned, drains
from tests.chaos.overload import Loader, overload
from tests.chaos.slow_clients import SHAPES, hold
from tests.e2e import service as e2e
from tests.e2e.test_overload import MODEL, loaded

__all__ = ["loaded"]  # a fixture
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]
PEAK_CLIENTS = 8
SECONDS = 60.0
GROWTH_BYTES = 50_000_000
ROUNDS, EACH = 20, 50  # a thousand deadlines, a thousand clients that hang up
SLOW_CLIENTS = 500
STOPS = 100


@pytest.fixture
def restarted(loaded: e2e.Service) -> e2e.Service:
    """Return the same service, ready again in whatever state the last test has left it."""
    if loaded.process is None or loaded.process.poll() is not None:
        loaded.start()
    return loaded


def test_overload_at_1_2_5_and_10_times_capacity(restarted: e2e.Service) -> None:
    async def body() -> None:
        loader = Loader(restarted, MODEL)
        await loader.closed(clients=PEAK_CLIENTS, seconds=5.0)  # warm
        peak = await loader.closed(clients=PEAK_CLIENTS, seconds=SECONDS / 2)
        print(f"peak: {peak.line()}")
        for times in (1, 2, 5, 10):
            found = await overload(
                restarted, loader, per_second=times * peak.per_second, seconds=SECONDS
            )
            goodput = found.outcome.per_second / peak.per_second
            print(f"{times} times: {goodput:.0%} of the peak; {found.line()}")
            assert set(found.outcome.codes) <= {"overloaded", "deadline-exceeded"}
            assert (found.outcome.hung, found.outcome.bare) == (0, 0)
            assert found.grown_bytes <= GROWTH_BYTES
        loader.close()

    asyncio.run(body())


def test_a_thousand_deadlines_and_hang_ups_cost_nothing(restarted: e2e.Service) -> None:
    outcome = asyncio.run(abandoned.abandon(restarted, MODEL, rounds=ROUNDS, each=EACH))

    print(outcome.line())
    assert outcome.wasted == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_500_slow_clients_of_a_shape_are_closed(restarted: e2e.Service, shape: str) -> None:
    held = asyncio.run(hold(restarted, shape, clients=SLOW_CLIENTS, model=MODEL))

    print(held.line())
    assert (len(held.closed), held.never) == (SLOW_CLIENTS, 0)


def test_100_stops_under_load_drop_nothing(restarted: e2e.Service) -> None:
    outcome = drains.Outcome()
    for number in range(STOPS):
        if number:
            restarted.start()
        with restarted.client() as client:
            e2e.wait_for(client, f"/deployments/{MODEL}", lambda body: body["status"] == "ready")
        asyncio.run(drains.drain(restarted, MODEL, clients=32, outcome=outcome))

    print(outcome.line())
    assert (outcome.dropped, outcome.wrong) == ([], [])
