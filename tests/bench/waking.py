"""From a prediction for an idle model to its answer, where another one must leave first.

What the deployment calls `load_ms` is the engine's own part of it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import httpx
from tests.e2e import service as e2e

TURNS = 10
BUDGET = 1.2  # of what one model holds alone; two, which share libraries, hold less than twice that
STAY_SECONDS = 1.0  # that the one that has to leave is left alone, see room.py


def waking(service: e2e.Service) -> None:
    """Print how long the first answer takes of a model that was unloaded."""
    with service.client() as client:
        held = client.get("/deployments/intent").json()["actual"]["memory_bytes"]
    with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
        copy = e2e.copied(service, Path(folder) / "d")
        with e2e.running(copy, threads=2, engine_memory=int(BUDGET * held)) as narrow:
            _take_turns(narrow)


def _take_turns(service: e2e.Service) -> None:
    seconds: list[float] = []
    loads: list[float] = []
    with service.client() as client:
        e2e.deployed(client, "a", "intent/1")
        e2e.deployed(client, "b", "intent/2")
        for turn in range(TURNS):
            time.sleep(STAY_SECONDS)
            model = "ab"[turn % 2]
            e2e.wait_for(client, f"/deployments/{model}", lambda body: body["status"] == "idle")
            seconds.append(_seconds_to_answer(client, model))
            deployment = e2e.wait_for(
                client, f"/deployments/{model}", lambda body: body["status"] == "ready"
            )
            loads.append(deployment["load_ms"] / 1000)
    print(
        f"idle model, another leaves first: first answer after {statistics.median(seconds):.2f} s "
        f"[{min(seconds):.2f}..{max(seconds):.2f}], n={TURNS}; its engine took "
        f"{statistics.median(loads):.2f} s"
    )


def _seconds_to_answer(client: httpx.Client, model: str) -> float:
    began = time.monotonic()
    answer = client.post("/predict", json={"model": model, "inputs": ["where is my parcel?"]})
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began
