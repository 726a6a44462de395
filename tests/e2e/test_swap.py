"""Hot swaps drop nothing and mix nothing: every answer is its version's golden one."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.e2e import load
from tests.e2e import service as e2e

PLANTED = Path(__file__).parent / "planted" / "flip_before_ready.py"


def test_six_swaps_under_load_drop_and_mix_nothing(
    service: e2e.Service, versions: list[dict]
) -> None:
    names = [job["result"]["version"] for job in versions]

    outcome = asyncio.run(swap(service, names, golden_of(service, names), swaps=6))

    assert (outcome.failed, outcome.wrong, outcome.stale) == (0, [], [])
    assert len(outcome.versions) == 2


def test_a_flip_before_the_engine_is_ready_is_noticed(
    service: e2e.Service, versions: list[dict], tmp_path: Path
) -> None:
    """The negative control: the same data directory, copied, under a planted bug."""
    names = [job["result"]["version"] for job in versions]
    golden = golden_of(service, names)
    copy = e2e.copied(service, tmp_path / "d")
    planted = e2e.Service(copy, program=[str(PLANTED)])
    planted.start()
    try:
        outcome = asyncio.run(swap(planted, names, golden, swaps=2))
    finally:
        planted.stop()

    assert outcome.failed > 0


def golden_of(service: e2e.Service, versions: list[str]) -> load.Golden:
    """Return what each version answers while nothing else happens."""
    golden: load.Golden = {}

    async def ask() -> None:
        async with client_of(service) as client:
            for version in versions:
                await put(client, "golden", version)
                golden.update(await load.golden_answers(client, "golden"))
            await client.delete("/deployments/golden")

    asyncio.run(ask())
    return golden


async def swap(
    service: e2e.Service,
    versions: list[str],
    golden: load.Golden,
    *,
    swaps: int,
    pause_seconds: float = 0.1,
    rate: float = math.inf,
) -> load.Outcome:
    """Swap between versions under 32 clients; each swap is ready before the next."""
    async with client_of(service) as client:
        await put(client, "swap", versions[0])

        async def swaps_in_turn(now_only: Callable[[str | None], None]) -> None:
            await asyncio.sleep(0.5)  # some load on the first version
            for number in range(swaps):
                version = versions[(number + 1) % len(versions)]
                now_only(None)
                await put(client, "swap", version)
                now_only(version)
                await asyncio.sleep(pause_seconds)

        try:
            return await load.under_load(client, "swap", golden, swaps_in_turn, rate=rate)
        finally:
            await client.delete("/deployments/swap")


async def put(client: httpx.AsyncClient, name: str, version: str, **spec: object) -> None:
    """Deploy a version and wait until it is ready and answers."""
    answer = await client.put(f"/deployments/{name}", json={"version": version, **spec})
    assert answer.status_code == 202, answer.text
    generation = answer.json()["desired"]["generation"]
    async with asyncio.timeout(e2e.DEADLINE_SECONDS):
        while True:
            body = (await client.get(f"/deployments/{name}")).json()
            actual = body["actual"] or {}
            if body["status"] == "ready" and actual.get("generation") == generation:
                break
            assert body["status"] == "loading", body
            await asyncio.sleep(0.05)


def client_of(service: e2e.Service) -> httpx.AsyncClient:
    """Return a client with the admin key and room for all connections."""
    key = (service.data_dir / "admin.key").read_text().strip()
    return httpx.AsyncClient(
        base_url=service.url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        limits=httpx.Limits(max_connections=100),
    )
