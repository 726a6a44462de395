"""More than can be answered, at few counts: refused fast, dropped before it costs, drained.

The full counts are in tests/chaos/test_overload.py. Timing is printed, never asserted.
"""

import asyncio
from collections.abc import Iterator

import pytest
from tests.chaos import abandoned, drains, poison
from tests.chaos.overload import Loader, overload
from tests.e2e import service as e2e

MODEL = "loaded"


@pytest.fixture(scope="module")
def loaded(
    service: e2e.Service, versions: list[dict], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[e2e.Service]:
    """Return a service of its own, of two workers, with one deployment."""
    copy = e2e.copied(service, tmp_path_factory.mktemp("loaded") / "d")
    # What was sent before the signal may be read after it, on a busy machine.
    running = e2e.Service(copy, workers=2, unready_seconds=5)
    running.start()
    with running.client() as client:
        e2e.deployed(client, MODEL, versions[0]["result"]["version"])
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


def test_overload_is_refused_and_nothing_hangs(loaded: e2e.Service) -> None:
    async def body() -> None:
        loader = Loader(loaded, MODEL)
        peak = await loader.closed(clients=4, seconds=1.0)
        rate = max(20.0, 5 * peak.per_second)
        found = await overload(loaded, loader, per_second=rate, seconds=2.0)
        loader.close()

        print(found.line())
        outcome = found.outcome
        assert set(outcome.codes) <= {"overloaded", "deadline-exceeded"}
        assert outcome.codes["overloaded"] > 0
        assert (outcome.hung, outcome.bare, outcome.unsent) == (0, 0, 0)

    asyncio.run(body())


def test_what_nobody_waits_for_is_never_computed(loaded: e2e.Service) -> None:
    outcome = asyncio.run(abandoned.abandon(loaded, MODEL, rounds=1, each=10))

    print(outcome.line())
    assert outcome.wasted == 0
    assert set(outcome.codes) <= {"deadline-exceeded", "overloaded"}
    assert outcome.cancelled > 0


def test_ten_poisons_fail_alone(loaded: e2e.Service) -> None:
    outcome = asyncio.run(poison.mix(loaded, MODEL, batches=10))

    print(outcome.line())
    assert (outcome.crossed, outcome.surprising) == ([], [])
    assert outcome.mean_batch > 1


def test_sigterm_under_load_drops_nothing(loaded: e2e.Service) -> None:
    """The last one: the service is stopped by it."""
    outcome = drains.Outcome()

    asyncio.run(drains.drain(loaded, MODEL, clients=8, outcome=outcome))

    print(outcome.line())
    assert (outcome.dropped, outcome.wrong) == ([], [])
    assert outcome.begun["ok"] > 0
