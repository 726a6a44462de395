"""`POST /predict` under load beside the bare engine: MiniLM fine-tuned on BANKING77.

    python tests/bench/serving.py [--seconds 6] [--rounds 3] [--only c1,c32] [--precision bf16]
                                  [--threads 2] [--data-dir DIR]

One text a request at 1 to 256 clients, mixed lengths at 64, bulk requests of 64 texts; load is
wrk's closed loop on the same cores. A data directory is made where none is named, and used again
where one is. Between the scenarios the runtime alone computes the same texts
in this process, in batches of 64, while the service rests: its share is what HTTP, JSON, keys and
batching leave of it.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow.csv as pa_csv

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e import service as e2e

from tunery_server.supervisor.memory import process_bytes
from tunery_trainer import runtimes
from tunery_trainer.tasks.texts import TextEncoder

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
LUA = Path(__file__).with_name("wrk.lua")
STEPS = {"max_steps": 40, "early_stopping": None, "refit": False, "max_length": 256}
TRAIN_ROWS = 1_000  # speed does not depend on what was learned
MULTI_LINE = pa_csv.ParseOptions(newlines_in_values=True)
BULK = 64
BARE_SECONDS = 3.0


class Scenario(NamedTuple):
    """Clients, which texts, and how many of them a request has."""

    clients: int
    texts: str
    batch: int = 1


SCENARIOS = {
    "c1": Scenario(1, "short"),
    "c8": Scenario(8, "short"),
    "c32": Scenario(32, "short"),
    "c128": Scenario(128, "short"),
    "c256": Scenario(256, "short"),
    "mixed64": Scenario(64, "mixed"),
    "bulk4": Scenario(4, "short", BULK),
}


def main() -> None:
    """Print texts a second, latencies and the share of the bare engine, medians of all rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fp32")
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk)")
    with (
        tempfile.TemporaryDirectory(prefix="tunery-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        data_dir = asked.data_dir or folder / "d"
        settings = {"workers": asked.workers, "threads": asked.threads, "spares": 0}
        service = stack.enter_context(e2e.running(data_dir, **settings))
        model_dir = prepare(service, replicas=asked.replicas, precision=asked.precision)
        texts = texts_of(TextEncoder(model_dir / "tokenizer.json", 256))
        bodies = {each: write_bodies(folder, each, texts) for each in SCENARIOS.values()}
        runtime = runtimes.load(
            model_dir, "auto", device="cpu", threads=asked.threads, precision=asked.precision
        )
        encoder = TextEncoder(model_dir / "tokenizer.json", 256)
        ids = {kind: encoder(some).ids for kind, some in texts.items()}
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for turn in range(asked.rounds):
            for key in asked.only.split(","):
                scenario = SCENARIOS[key]
                bare = bare_speed(runtime, ids[scenario.texts])
                load(service, scenario, bodies[scenario], seconds=1.0, seed=99)
                before = cpu_seconds(service)
                figures = load(
                    service, scenario, bodies[scenario], seconds=asked.seconds, seed=turn
                )
                texts_answered = figures["texts"] * asked.seconds
                for role, used in cpu_seconds(service).items():
                    figures[f"{role}_us"] = (used - before.get(role, 0)) / texts_answered * 1e6
                found[key].append(figures | {"bare": bare, "share": figures["texts"] / bare})
                print(key, {name: round(value, 2) for name, value in found[key][-1].items()})
        report(found)
        print(f"resident: {memory(service)}")


def prepare(service: e2e.Service, **spec: Any) -> Path:
    """Fine-tune for a few steps, deploy the version as `intent`, return its directory."""
    with service.client() as client:
        if not client.get("/models").json()["data"]:
            train(client, service.data_dir.parent / "train.csv")
        answer = client.put("/deployments/intent", json={"version": "intent/1", **spec})
        assert answer.status_code == 202, answer.text
        e2e.wait_for(client, "/deployments/intent", lambda body: body["status"] == "ready")
    return next((service.data_dir / "artifacts").rglob("openvino/model.xml")).parents[1]


def train(client: httpx.Client, train_csv: Path) -> None:
    """Make the version intent/1 of a part of the training rows."""
    rows = pa_csv.read_csv(DATA / "train.csv", parse_options=MULTI_LINE)
    pa_csv.write_csv(rows.take(list(range(0, len(rows), len(rows) // TRAIN_ROWS))), train_csv)
    files = {"train": train_csv, "test": DATA / "test.csv"}
    ready = e2e.dataset(client, files, "banking", seconds=300, policies={"leakage": "warn"})
    job = e2e.finetune(client, ready["id"], recipe="fast", hyperparameters=STEPS)
    assert e2e.ended(client, job["id"], seconds=600)["status"] == "succeeded"


def texts_of(encoder: TextEncoder) -> dict[str, list[str]]:
    """Return the test rows, and texts joined of them: log-normal lengths of 5 to 256 tokens."""
    short = [
        text.strip()
        for text in pa_csv.read_csv(DATA / "test.csv", parse_options=MULTI_LINE)["text"].to_pylist()
    ]
    chance = random.Random(0)
    chance.shuffle(short)
    mixed = []
    for _ in range(1024):
        wanted = min(256, max(5, int(chance.lognormvariate(3.466, 0.9))))
        words = itertools.chain.from_iterable(
            chance.choice(short).split() for _ in itertools.count()
        )
        some = list(itertools.islice(words, wanted))
        while len(some) > 1 and len(encoder([" ".join(some)]).ids[0]) > wanted:
            some = some[: -max(1, len(some) // 10)]
        mixed.append(" ".join(some))
    return {"short": short, "mixed": mixed}


def write_bodies(folder: Path, scenario: Scenario, texts: dict[str, list[str]]) -> Path:
    """Write request bodies, one a line, as the Lua script reads them."""
    path = folder / f"{scenario.texts}-{scenario.batch}.jsonl"
    some = texts[scenario.texts]
    batches = (some[i : i + scenario.batch] for i in range(0, len(some), scenario.batch))
    lines = [json.dumps({"model": "intent", "inputs": batch}) for batch in batches]
    path.write_text("\n".join(lines[: 2048 if scenario.batch == 1 else -1]) + "\n")
    return path


def load(
    service: e2e.Service, scenario: Scenario, bodies: Path, *, seconds: float, seed: int
) -> dict[str, float]:
    """Return texts a second and latencies in milliseconds; every answer was a 200."""
    key = (service.data_dir / "admin.key").read_text().strip()
    command = ["wrk", "-t1", f"-c{scenario.clients}", f"-d{seconds:g}s", "--timeout", "30s"]
    done = subprocess.run(
        [*command, "-s", str(LUA), f"{service.url}/predict"],
        env={"BODIES": str(bodies), "SEED": str(seed), "KEY": key, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    assert not figures["errors"], done.stdout
    rate = figures["requests"] * scenario.batch / figures["seconds"]
    return {"texts": rate, "p50": figures["p50"], "p99": figures["p99"]}


def bare_speed(runtime: runtimes.Runtime, ids: list[list[int]]) -> float:
    """Return how many texts a second the runtime computes alone, in batches of 64."""
    batches: Iterator[list[list[int]]] = itertools.cycle(
        [ids[i : i + BULK] for i in range(0, len(ids) - BULK + 1, BULK)]
    )
    runtime.logits(next(batches))
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < BARE_SECONDS:
        count += len(runtime.logits(next(batches)))
    return count / passed


def report(found: dict[str, list[dict[str, float]]]) -> None:
    """Print the medians, and the range of the shares."""
    print(f"{'':8} {'texts/s':>8} {'bare':>6} {'share':>20} {'p50 ms':>8} {'p99 ms':>8} p99/p50")
    for key, rounds in found.items():
        middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        shares = [each["share"] for each in rounds]
        spread = f"{middle['share']:.2f} [{min(shares):.2f}..{max(shares):.2f}]"
        print(
            f"{key:8} {middle['texts']:8.0f} {middle['bare']:6.0f} {spread:>20}"
            f" {middle['p50']:8.1f} {middle['p99']:8.1f} {middle['p99'] / middle['p50']:.2f}"
        )


def cpu_seconds(service: e2e.Service) -> dict[str, float]:
    """Return the CPU time that the processes of each role have used."""
    found: dict[str, float] = defaultdict(float)
    for pid, role, _ in service.processes():
        found[role] += e2e.cpu_ticks(pid) / os.sysconf("SC_CLK_TCK")
    return found


def memory(service: e2e.Service) -> str:
    """Return the proportional memory of the processes of a service, by role."""
    found: dict[str, float] = defaultdict(float)
    for pid, role, _ in [*service.processes(), (service.process.pid, "supervisor", "")]:
        found[role] += process_bytes(pid) / 1e6
    total = sum(found.values())
    parts = ", ".join(f"{role} {size:.0f}" for role, size in sorted(found.items()))
    return f"{total:.0f} MB (proportional): {parts}"


if __name__ == "__main__":
    main()
