"""Eighty bad candidates, ten of each kind, deployed over a good model under load."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import candidates, load
from tests.e2e import service as e2e
from tests.e2e.test_bad_candidates import spoilt, try_all

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]

TIMES = 10
CLIENTS = 32
LOAD_SECONDS = 40  # torch takes 6 alone, and far more beside so many clients


@pytest.fixture
def spoiled(
    service: e2e.Service, versions: list[dict], tmp_path: Path
) -> Iterator[tuple[e2e.Service, dict[str, str], load.Golden]]:
    """Return a service with a bad version of each kind, their names, and the good answers."""
    with spoilt(service, versions, tmp_path, load_seconds=LOAD_SECONDS) as found:
        yield found


def test_eighty_bad_candidates_leave_the_old_version_serving(
    spoiled: tuple[e2e.Service, dict[str, str], load.Golden],
) -> None:
    service, names, golden = spoiled

    outcome, found = asyncio.run(try_all(service, names, golden, clients=CLIENTS, times=TIMES))

    print(f"{TIMES * len(names)} candidates: {outcome.requests} requests, {outcome.failed} failed")
    for kind, (status, code) in found.items():
        print(f"  {kind}: {status}, {code}")
    assert found == {kind: ("degraded", code) for kind, (_, code) in candidates.KINDS.items()}
    assert (outcome.failed, outcome.wrong, outcome.stale) == (0, [], [])
