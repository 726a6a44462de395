"""From `POST /finetune` to the first step, and from the last step to the version, on BANKING77.

    python tests/bench/first_step.py [--rounds 3]

A real service with a warm spare. The first round finds no tokens in the cache, the others do. Times
are those of the job's own events; the bars are 3 s and 1 s to the first step.
"""

import argparse
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
from tests.e2e import service as e2e

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
STEPS = {"max_steps": 4, "early_stopping": None}


def main() -> None:
    """Print the times of each round, and their medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        e2e.running(Path(folder) / "d", spares=1, threads=2) as service,
        service.client() as client,
    ):
        files = {split: e2e.upload(client, DATA / f"{split}.csv") for split in ("train", "test")}
        spec = {"name": "banking", "files": files, "policies": {"leakage": "warn"}}
        answer = client.post("/datasets", json=spec)
        dataset = e2e.wait_for(
            client, answer.headers["Location"], lambda body: body["status"] == "ready"
        )
        print(f"{dataset['splits']['train']} training rows")
        firsts = []
        for i in range(asked.rounds + 1):
            wait_for_spare(service)
            first, last = one(client, dataset["id"])
            tokens = "cold" if i == 0 else "cached"
            print(f"{tokens} tokens: {first:.2f} s to the first step, {last:.2f} s from the last")
            firsts.append(first)
        print(f"cached, median: {statistics.median(firsts[1:]):.2f} s")


def one(client: httpx.Client, dataset: str) -> tuple[float, float]:
    """Return the seconds to a fine-tune's first step, and from its last one to its version."""
    job = e2e.finetune(client, dataset, hyperparameters=STEPS)
    end = e2e.ended(client, job["id"])
    assert end["status"] == "succeeded", end
    events = client.get(f"/jobs/{job['id']}/events?limit=1000").json()["data"]
    losses = [each for each in events if each["type"] == "metric" and "loss" in each["data"]]
    return (
        seconds(job["created_at"], losses[0]["at"]),
        seconds(losses[-1]["at"], end["finished_at"]),
    )


def seconds(start: str, end: str) -> float:
    """Return how long it is between two moments of the API."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def wait_for_spare(service: e2e.Service) -> None:
    """Wait until a spare has imported what it needs, and rests."""

    def rests() -> bool:
        spares = [pid for pid, role, _ in service.processes() if role == "spare" and e2e.alive(pid)]
        if not spares:
            return False
        before = e2e.cpu_ticks(spares[0])
        time.sleep(1.0)
        return before > 100 and e2e.cpu_ticks(spares[0]) == before

    e2e.wait_until(rests, "a warm spare", service.log)


if __name__ == "__main__":
    main()
