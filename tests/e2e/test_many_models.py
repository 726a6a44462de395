"""Many models on a device that does not hold them all: who leaves, who comes back."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e import candidates, load
from tests.e2e import service as e2e
from tests.e2e.test_swap import client_of, golden_of

PATIENT = {"X-Request-Timeout-Ms": "100000"}


@pytest.fixture(scope="module")
def names(versions: list[dict]) -> list[str]:
    """Return two versions that answer differently."""
    return [job["result"]["version"] for job in versions]


@pytest.fixture(scope="module")
def golden(service: e2e.Service, names: list[str]) -> load.Golden:
    """Return what each version answers."""
    return golden_of(service, names)


@pytest.fixture(scope="module")
def data_dir(service: e2e.Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data of the versions, without what serves."""
    return e2e.copied(service, tmp_path_factory.mktemp("many") / "d")


@pytest.fixture(scope="module")
def engine_bytes(data_dir: Path, names: list[str]) -> int:
    """Return what one engine holds, also of what it may share with others."""
    with e2e.running(data_dir) as service, service.client() as client:
        e2e.deployed(client, "measured", names[0])
        ask(client, "measured")
        ((pid, _, _),) = service.processes("engine")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        client.delete("/deployments/measured")
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def narrow(data_dir: Path, engine_bytes: int) -> Iterator[e2e.Service]:
    """Run a service whose device holds one engine, not two."""
    with e2e.running(data_dir, engine_memory=int(1.03 * engine_bytes)) as service:
        yield service


@pytest.fixture
def asking(narrow: e2e.Service) -> Iterator[httpx.Client]:
    """Return a client; nothing that a test has deployed is left."""
    with narrow.client() as client:
        client.timeout = httpx.Timeout(e2e.DEADLINE_SECONDS)
        yield client
        for each in client.get("/deployments").json()["data"]:
            client.delete(f"/deployments/{each['name']}")
        e2e.wait_until(lambda: not narrow.processes("engine"), "no engine is left", narrow.log)


def ask(client: httpx.Client, model: str) -> httpx.Response:
    return client.post(
        "/predict", json={"model": model, "inputs": [load.TEXTS[0]]}, headers=PATIENT
    )


def put(client: httpx.Client, name: str, **spec: object) -> dict:
    """Ask for a deployment and return it when it is no longer loading."""
    answer = client.put(f"/deployments/{name}", json=spec)
    assert answer.status_code == 202, answer.text
    return e2e.wait_for(client, f"/deployments/{name}", lambda body: body["status"] != "loading")


def engines_started(service: e2e.Service) -> int:
    """Return the number of the engine that started last: they are counted."""
    with sqlite3.connect(f"file:{service.data_dir / 'tunery.db'}?mode=ro", uri=True) as database:
        sockets = [row[0] for row in database.execute("SELECT socket FROM routes")]
    return max(int(Path(socket).parent.name[1:]) for socket in sockets)


def test_what_is_asked_comes_back_and_the_other_leaves(
    narrow: e2e.Service, asking: httpx.Client, names: list[str]
) -> None:
    put(asking, "a", version=names[0])
    put(asking, "b", version=names[1])

    left = asking.get("/deployments/a").json()
    answers = [ask(asking, model).json()["version"] for model in ("b", "a", "b", names[0])]

    assert left["status"] == "idle"
    assert (left["actual"]["replicas"], left["actual"]["memory_bytes"]) == (0, 0)
    assert answers == [names[1], names[0], names[1], names[0]]
    assert len(narrow.processes("engine")) == 1


def test_the_device_says_who_holds_what(asking: httpx.Client, names: list[str]) -> None:
    held = put(asking, "a", version=names[0], pinned=True)["actual"]["memory_bytes"]

    device = asking.get("/devices").json()["data"][0]

    assert device["occupants"] == [
        {"name": "a", "version": names[0], "replicas": 1, "memory_bytes": held, "pinned": True}
    ]
    assert 0 < held == device["used_bytes"] <= device["budget_bytes"]


def test_many_first_requests_wake_a_model_once(
    narrow: e2e.Service, asking: httpx.Client, names: list[str]
) -> None:
    put(asking, "a", version=names[0])
    put(asking, "b", version=names[1])
    before = engines_started(narrow)

    answers = asyncio.run(ask_at_once(narrow, ["a"] * 32))

    assert [answer.status_code for answer in answers] == [200] * 32
    assert engines_started(narrow) == before + 1


def test_two_models_take_turns_where_one_fits(
    narrow: e2e.Service, asking: httpx.Client, names: list[str]
) -> None:
    put(asking, "a", version=names[0])
    put(asking, "b", version=names[1])

    answers = asyncio.run(ask_at_once(narrow, ["a", "b"] * 8))

    assert [answer.json().get("version") for answer in answers] == names * 8


def test_a_pinned_model_is_not_unloaded_and_the_other_is_refused(
    asking: httpx.Client, names: list[str]
) -> None:
    put(asking, "a", version=names[0], pinned=True)

    refused = put(asking, "b", version=names[1])

    assert (refused["status"], refused["error"]["code"]) == ("failed", "insufficient-capacity")
    assert re.search(r"now they hold: a \d+ MB \(pinned\)", refused["error"]["message"])
    assert ask(asking, "b").json()["code"] == "model-unavailable"
    assert ask(asking, "a").json()["version"] == names[0]


def test_a_swap_without_room_for_both_is_refused(asking: httpx.Client, names: list[str]) -> None:
    put(asking, "a", version=names[0])

    refused = put(asking, "a", version=names[1])

    assert (refused["status"], refused["error"]["code"]) == ("degraded", "insufficient-capacity")
    assert ask(asking, "a").json()["version"] == names[0]


def test_recreate_needs_no_room_for_both_and_requests_wait(
    narrow: e2e.Service, asking: httpx.Client, names: list[str], golden: load.Golden
) -> None:
    put(asking, "a", version=names[0])

    made, outcome = asyncio.run(recreate_under_load(narrow, {"version": names[1]}, golden))

    assert (made["status"], made["actual"]["version"]) == ("ready", names[1])
    assert (outcome.failed, outcome.wrong) == (0, [])
    assert outcome.versions[names[1]] > 0


def test_recreate_with_a_bad_candidate_brings_the_old_one_back(
    narrow: e2e.Service,
    asking: httpx.Client,
    names: list[str],
    versions: list[dict],
    golden: load.Golden,
) -> None:
    checkpoint = versions[1]["result"]["checkpoint"]
    e2e.damage(narrow.data_dir / "artifacts" / "checkpoints" / checkpoint / "model.safetensors")
    put(asking, "a", version=names[0])

    made, outcome = asyncio.run(recreate_under_load(narrow, {"checkpoint": checkpoint}, golden))

    assert (made["status"], made["error"]["code"]) == ("degraded", "checkpoint-corrupt")
    assert made["actual"]["version"] == names[0]
    assert (outcome.failed, outcome.wrong) == (0, [])
    assert set(outcome.versions) == {names[0]}


def test_what_nobody_asks_is_unloaded_and_stays_so_over_a_restart(
    service: e2e.Service, names: list[str], tmp_path: Path
) -> None:
    with e2e.running(e2e.copied(service, tmp_path / "d"), idle_unload_seconds=0.5) as forgetful:
        with forgetful.client() as client:
            put(client, "a", version=names[0])
            put(client, "b", version=names[0], pinned=True)
            e2e.wait_for(client, "/deployments/a", lambda body: body["status"] == "idle")
        forgetful.stop()
        forgetful.start()
        with forgetful.client() as client:
            after = {name: client.get(f"/deployments/{name}").json()["status"] for name in "ab"}
            answer = ask(client, "a")

    assert after == {"a": "idle", "b": "ready"}
    assert answer.json()["version"] == names[0]


async def ask_at_once(service: e2e.Service, models: list[str]) -> list[httpx.Response]:
    """Ask about one text so many times at once."""
    async with client_of(service) as client:
        client.timeout = httpx.Timeout(e2e.DEADLINE_SECONDS)
        body = {"inputs": [load.TEXTS[0]]}
        return await asyncio.gather(
            *(
                client.post("/predict", json={**body, "model": model}, headers=PATIENT)
                for model in models
            )
        )


async def recreate_under_load(
    service: e2e.Service, spec: dict, golden: load.Golden
) -> tuple[dict, load.Outcome]:
    """Recreate the deployment `a` while it is asked; return what became of it."""
    made: dict = {}

    async def recreate(_: Callable[[str | None], None]) -> None:
        async with client_of(service) as client:
            answer = await client.put("/deployments/a", json={**spec, "strategy": "recreate"})
            assert answer.status_code == 202, answer.text
            async with asyncio.timeout(e2e.DEADLINE_SECONDS):
                while not made or made["status"] == "loading":
                    made.update((await client.get("/deployments/a")).json())
                    await asyncio.sleep(0.05)

    async with client_of(service) as client:
        client.headers.update(PATIENT)
        client.timeout = httpx.Timeout(e2e.DEADLINE_SECONDS)
        return made, await load.under_load(client, "a", golden, recreate, clients=4)


def test_what_should_serve_is_known_after_a_restart(
    service: e2e.Service, names: list[str], tmp_path: Path
) -> None:
    """One that slept keeps its labels; one that had failed is well as soon as it is loaded."""
    data_dir = e2e.copied(service, tmp_path / "d")
    strange = candidates.add(data_dir, "other labels", 100)
    with e2e.running(data_dir) as first, first.client() as client:
        e2e.deployed(client, "sleeper", names[0])
        e2e.deployed(client, "patient", names[0])
    trouble = '{"code": "crash-loop", "message": "it died", "hint": "none"}'
    with sqlite3.connect(data_dir / "tunery.db") as database:
        database.execute("UPDATE deployments SET status = 'idle' WHERE name = 'sleeper'")
        told = "UPDATE deployments SET status = 'failed', error = ? WHERE name = 'patient'"
        database.execute(told, (trouble,))

    with e2e.running(data_dir) as second, second.client() as client:
        client.put("/deployments/sleeper", json={"version": strange})
        refused = e2e.wait_for(client, "/deployments/sleeper", lambda body: body["error"])
        loaded = lambda body: body["status"] != "loading"  # noqa: E731
        patient = e2e.wait_for(client, "/deployments/patient", loaded)

    assert (refused["status"], refused["error"]["code"]) == ("idle", "label-set-changed")
    assert (patient["status"], patient["error"]) == ("ready", None)
