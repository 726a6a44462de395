"""Measure the service as a user meets it, and print the figures.

    python tests/bench/run.py [start] [predict] [training] [recovery] [swaps] [bulk] [waking]
        [residents]

Absolute figures belong to the machine; what is compared is measured side by side in one run.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.bulk import bulk
from tests.bench.residents import residents
from tests.bench.waking import waking
from tests.e2e import load
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK
from tests.e2e.test_swap import client_of, golden_of, swap

PREDICTIONS = 10_000
CLIENTS = 8
LIVE_PROBES = 300


def main(wanted: list[str]) -> None:
    """Run the parts that were asked for, all by default."""
    parts: dict[str, Callable[[e2e.Service], None]] = {
        "predict": predict,
        "training": training,
        "recovery": recovery,
        "swaps": swaps,
        "bulk": bulk,
        "waking": waking,
        "residents": residents,
    }
    if not wanted or "start" in wanted:
        start()
    with (
        tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder,
        e2e.running(Path(folder) / "d", workers=2, spares=1, threads=2) as service,
    ):
        prepare(service)
        for name, part in parts.items():
            if not wanted or name in wanted:
                part(service)


def start() -> None:
    """Print how long a start takes until /health/live answers."""
    seconds = []
    for _ in range(5):
        with tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder:
            service = e2e.Service(Path(folder) / "d")
            began = time.monotonic()
            service.launch()
            e2e.wait_until(lambda service=service: is_live(service), "live", service.log)
            seconds.append(time.monotonic() - began)
            e2e.wait_until(service.is_ready, "ready", service.log)
            service.stop()
    report("start to /health/live, s", seconds)


def prepare(service: e2e.Service) -> None:
    """Train two versions and deploy the first as `intent`."""
    with service.client() as client:
        tickets = e2e.dataset(client)
        for seed in (1, 2):
            job = e2e.finetune(client, tickets["id"], hyperparameters={**QUICK, "seed": seed})
            assert e2e.ended(client, job["id"])["status"] == "succeeded"
        e2e.deployed(client, "intent", "intent/1")


def predict(service: e2e.Service) -> None:
    """Print throughput and latency of single texts, and the memory of the API afterwards."""
    workers = [pid for pid, _, _ in service.processes("api")]
    before = [resident_mb(pid) for pid in workers]

    async def ask() -> tuple[list[float], float]:
        async with client_of(service) as client:
            latencies: list[float] = []
            left = iter(range(PREDICTIONS))

            async def one() -> None:
                for number in left:
                    text = load.TEXTS[number % len(load.TEXTS)]
                    began = time.monotonic()
                    answer = await client.post(
                        "/predict", json={"model": "intent", "inputs": [text]}
                    )
                    assert answer.status_code == 200, answer.text
                    latencies.append(time.monotonic() - began)

            began = time.monotonic()
            await asyncio.gather(*(one() for _ in range(CLIENTS)))
            return latencies, time.monotonic() - began

    latencies, seconds = asyncio.run(ask())
    print(f"predict, {CLIENTS} clients: {PREDICTIONS / seconds:.0f} requests/s")
    report_latency("predict", latencies)
    after = [resident_mb(pid) for pid in workers]
    print(f"API memory, MB: {before} before, {after} after {PREDICTIONS} predictions")
    torch = [pid for pid in workers if "libtorch" in Path(f"/proc/{pid}/maps").read_text()]
    print(f"API workers that map torch: {len(torch)} of {len(workers)}")


def training(service: e2e.Service) -> None:
    """Print how soon a fine-tune makes its first step, and what it costs /health/live."""
    with service.client() as client:
        tickets = client.get("/datasets").json()["data"][0]
        idle = probe_live(service)
        seconds = []
        for _ in range(5):
            e2e.wait_until(lambda: has_spare(service), "a warm spare", service.log)
            job = e2e.finetune(client, tickets["id"], hyperparameters=QUICK)
            e2e.ended(client, job["id"])
            seconds.append(first_step_seconds(client, job))
        report("POST /finetune to the first optimizer step, s", seconds)
        job = e2e.finetune(
            client,
            tickets["id"],
            hyperparameters={**QUICK, "max_steps": 100_000, "early_stopping": None},
        )
        e2e.wait_for(client, f"/jobs/{job['id']}", lambda body: body["status"] == "running")
        time.sleep(3)
        busy = probe_live(service)
        client.post(f"/jobs/{job['id']}/cancel")
        e2e.ended(client, job["id"])
    report_latency("/health/live, idle", idle)
    report_latency("/health/live, a job trains", busy)


def recovery(service: e2e.Service) -> None:
    """Print how long what was killed takes to come back."""
    with service.client() as client:
        engines, workers = [], []
        for _ in range(5):
            pid = next(p for p, _, owner in service.processes("engine") if "/intent" in owner)
            e2e.kill_process(pid)
            engines.append(seconds_until(lambda: answers(client)))
            before = {pid for pid, _, _ in service.processes("api")}
            e2e.kill_process(min(before))
            workers.append(
                seconds_until(
                    lambda before=before: (
                        len(found := {pid for pid, _, _ in service.processes("api")}) == 2
                        and min(before) not in found
                    )
                )
            )
            e2e.wait_until(lambda: answers(client), "an answer", service.log)
    report("killed engine, s until it answers", engines)
    report("killed API worker, s until another is there", workers)


def swaps(service: e2e.Service) -> None:
    """Print what 32 clients saw of twenty swaps."""
    versions = ["intent/1", "intent/2"]
    outcome = asyncio.run(swap(service, versions, golden_of(service, versions), swaps=20))
    print(
        f"20 swaps, 32 clients: {outcome.requests} requests, {outcome.failed} non-2xx, "
        f"{len(outcome.wrong)} wrong, {len(outcome.stale)} stale, versions {outcome.versions}"
    )
    report_latency("predict while swapping", outcome.latencies)


def first_step_seconds(client: httpx.Client, job: dict) -> float:
    """Return the seconds from a job's creation to its first step, both by the server's clock."""
    events = client.get(f"/jobs/{job['id']}/events").json()["data"]
    first = next(event for event in events if event["type"] == "metric")
    assert first["data"]["step"] == 1
    began, ended = (datetime.fromisoformat(at) for at in (job["created_at"], first["at"]))
    return (ended - began).total_seconds()


def probe_live(service: e2e.Service) -> list[float]:
    """Return the latencies of /health/live, one request after the other."""
    latencies = []
    with service.client() as client:
        for _ in range(LIVE_PROBES):
            began = time.monotonic()
            client.get("/health/live")
            latencies.append(time.monotonic() - began)
    return latencies


def has_spare(service: e2e.Service) -> bool:
    """Return whether a spare has finished its imports: it no longer computes."""
    spares = [pid for pid, _, _ in service.processes("spare")]
    return bool(spares) and all(is_idle(pid) for pid in spares)


def is_idle(pid: int) -> bool:
    """Return whether a process is past its imports and sleeps."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    torch = "libtorch" in Path(f"/proc/{pid}/maps").read_text()
    return torch and stat[0] == "S" and resident_mb(pid) > 300


def is_live(service: e2e.Service) -> bool:
    """Return whether /health/live answers."""
    try:
        return httpx.get(f"{service.url}/health/live", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def answers(client: httpx.Client) -> bool:
    """Return whether `intent` answers."""
    try:
        answer = client.post("/predict", json={"model": "intent", "inputs": ["refund please"]})
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def seconds_until(condition: Callable[[], bool]) -> float:
    """Return how long a condition takes to hold."""
    began = time.monotonic()
    e2e.wait_until(condition, "recovery")
    return time.monotonic() - began


def resident_mb(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


def report(what: str, values: list[float]) -> None:
    """Print minimum, median and maximum."""
    middle = statistics.median(values)
    print(f"{what}: median {middle:.2f} [{min(values):.2f}..{max(values):.2f}], n={len(values)}")


def report_latency(what: str, seconds: list[float]) -> None:
    """Print percentiles in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    print(f"{what}: p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
