"""Eighty bad candidates, ten of each kind, deployed over a good model under load."""

import asyncio

import pytest
from tests.e2e import candidates, load
from tests.e2e import service as e2e
from tests.e2e.test_bad_candidates import spoiled, try_all

__all__ = ["spoiled"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]

TIMES = 10


def test_eighty_bad_candidates_leave_the_old_version_serving(
    spoiled: tuple[e2e.Service, dict[str, str], load.Golden],
) -> None:
    service, names, golden = spoiled

    outcome, found = asyncio.run(try_all(service, names, golden, times=TIMES))

    print(f"{TIMES * len(names)} candidates: {outcome.requests} requests, {outcome.failed} failed")
    for kind, (status, code) in found.items():
        print(f"  {kind}: {status}, {code}")
    assert found == {kind: ("degraded", code) for kind, (_, code) in candidates.KINDS.items()}
    assert (outcome.failed, outcome.wrong, outcome.stale) == (0, [], [])
