"""A thousand swaps under load, and what they cost those who ask meanwhile."""

import asyncio
import math
import statistics

import pytest
from tests.e2e import load
from tests.e2e import service as e2e
from tests.e2e.test_swap import client_of, golden_of, put, swap

from tunery_server.supervisor.memory import process_bytes

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]

SWAPS = 1000
PACED_SWAPS = 10
PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0


def test_a_thousand_swaps_drop_and_mix_nothing(service: e2e.Service, versions: list[dict]) -> None:
    names = [job["result"]["version"] for job in versions]
    golden = golden_of(service, names)
    steady, capacity = asyncio.run(steadily(service, names[0], golden))
    paced_steady, _ = asyncio.run(steadily(service, names[0], golden, rate=0.7 * capacity))
    paced = asyncio.run(
        swap(
            service,
            names,
            golden,
            swaps=PACED_SWAPS,
            pause_seconds=PAUSE_SECONDS,
            rate=0.7 * capacity,
        )
    )
    before, engines = resident_mb(service), len(service.processes("engine"))

    outcome = asyncio.run(swap(service, names, golden, swaps=SWAPS))

    e2e.wait_until(
        lambda: len(service.processes("engine")) <= engines, "the last engine exits", service.log
    )
    grown = resident_mb(service) - before
    print(
        f"{SWAPS} swaps: {outcome.requests} requests, {outcome.failed} non-2xx, "
        f"{len(outcome.wrong)} wrong, {len(outcome.stale)} stale; API and supervisor "
        f"{grown:+.0f} MB; engines left over {len(service.processes('engine')) - engines}"
    )
    print(
        f"p99: steady {p99(steady):.0f} ms, back to back {p99(outcome):.0f} ms "
        f"({p99(outcome) / p99(steady):.2f} times); at 70 % load steady "
        f"{p99(paced_steady):.0f} ms, a swap every {PAUSE_SECONDS:g} s {p99(paced):.0f} ms "
        f"({p99(paced) / p99(paced_steady):.2f} times)"
    )
    for each in (outcome, paced):
        assert (each.failed, each.wrong, each.stale) == (0, [], [])
    assert grown < 50


async def steadily(
    service: e2e.Service, version: str, golden: load.Golden, *, rate: float = math.inf
) -> tuple[load.Outcome, float]:
    """Ask one version; return what was seen, and how many requests a second were answered."""
    async with client_of(service) as client:
        await put(client, "steady", version)
        outcome = await load.under_load(
            client, "steady", golden, lambda _: asyncio.sleep(STEADY_SECONDS), rate=rate
        )
        await client.delete("/deployments/steady")
    return outcome, outcome.requests / STEADY_SECONDS


def p99(outcome: load.Outcome) -> float:
    """Return the 99th percentile of the latencies, in milliseconds."""
    return statistics.quantiles(outcome.latencies, n=100)[98] * 1000


def resident_mb(service: e2e.Service) -> float:
    """Return what the supervisor and the API workers hold, in MB."""
    assert service.process is not None
    pids = [service.process.pid, *(pid for pid, _, _ in service.processes("api"))]
    return sum(map(process_bytes, pids)) / 1e6
