"""A bad candidate never replaces a good model: eight kinds, under some load."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e import candidates, load
from tests.e2e import service as e2e
from tests.e2e.test_swap import client_of, golden_of, put

PLANTED = Path(__file__).parent / "planted" / "bad_engines.py"
CLIENTS = 1
LOAD_SECONDS = 45  # torch takes 6 alone, and far more on a busy machine


@pytest.fixture
def spoiled(
    service: e2e.Service, versions: list[dict], tmp_path: Path
) -> Iterator[tuple[e2e.Service, dict[str, str], load.Golden]]:
    """Return a service with a bad version of each kind, their names, and the good answers."""
    with spoilt(service, versions, tmp_path, load_seconds=LOAD_SECONDS) as found:
        yield found


@contextmanager
def spoilt(
    service: e2e.Service, versions: list[dict], tmp_path: Path, *, load_seconds: int
) -> Iterator[tuple[e2e.Service, dict[str, str], load.Golden]]:
    """Run a service with a bad version of each kind; a load that takes longer is given up."""
    good = versions[0]["result"]["version"]
    golden = golden_of(service, [good])
    copy = e2e.copied(service, tmp_path / "d")
    names = {kind: candidates.add(copy, kind, 100 + i) for i, kind in enumerate(candidates.KINDS)}
    settings = {"workers": 2, "load_timeout_seconds": load_seconds}
    planted = e2e.Service(copy, program=[str(PLANTED)], **settings)
    planted.start()
    try:
        yield planted, names, golden
    finally:
        planted.stop()


def test_bad_candidates_leave_the_old_version_serving(
    spoiled: tuple[e2e.Service, dict[str, str], load.Golden],
) -> None:
    service, names, golden = spoiled

    outcome, found = asyncio.run(try_all(service, names, golden, clients=CLIENTS))

    assert found == {kind: ("degraded", code) for kind, (_, code) in candidates.KINDS.items()}
    assert (outcome.failed, outcome.wrong, outcome.stale) == (0, [], [])


async def try_all(
    service: e2e.Service,
    names: dict[str, str],
    golden: load.Golden,
    *,
    clients: int,
    times: int = 1,
) -> tuple[load.Outcome, dict[str, tuple[str, str]]]:
    """Deploy each bad version over a good one, under load; return how each deployment ended.

    What a kind ended with is the same each time, else the last is told.
    """
    good = next(iter(golden))[0]
    ends: dict[str, tuple[str, str]] = {}
    async with client_of(service) as client:
        await put(client, "target", good)

        async def deploy(now_only: Callable[[str | None], None]) -> None:
            now_only(good)
            for kind, version in list(names.items()) * times:
                answer = await client.put("/deployments/target", json={"version": version})
                assert answer.status_code == 202, answer.text
                body = answer.json()
                while body["status"] == "loading" or body["desired"]["version"] != version:
                    await asyncio.sleep(0.05)
                    body = (await client.get("/deployments/target")).json()
                assert body["actual"]["version"] == good
                ends[kind] = body["status"], body["error"]["code"]

        outcome = await load.under_load(client, "target", golden, deploy, clients=clients)
    return outcome, ends
