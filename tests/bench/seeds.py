"""Fine-tunes that differ in their seed alone: what a gate says of each pair, and their calibration.

    python tests/bench/seeds.py [--data DIRECTORY] [--seeds 5] [--set NAME=VALUE …]

Five seeds are ten pairs of models that are as good as each other: a gate that stops one of them
errs. Train.csv and test.csv of the directory are registered as they are; texts of both stay.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e import service as e2e

SHARED = Path(__file__).parents[3] / "shared" / "data" / "banking77"
THREADS = 2
SECONDS = 3600.0
POLICIES = {"leakage": "warn"}


def main() -> None:
    """Print a line for each version, and one for each pair."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    given = dict(each.split("=", 1) for each in asked.set)
    spec = {name: _value(text) for name, text in given.items()}
    with (
        tempfile.TemporaryDirectory(prefix="tunery-bench-") as folder,
        e2e.running(Path(folder) / "d", threads=THREADS) as service,
        service.client() as client,
    ):
        files = {split: asked.data / f"{split}.csv" for split in ("train", "test")}
        made = e2e.dataset(client, files, "rows", policies=POLICIES)["id"]
        versions = [version_of(client, made, spec, seed) for seed in range(asked.seeds)]
        judge(client, made, versions)


def version_of(client: httpx.Client, dataset: str, spec: dict[str, Any], seed: int) -> str:
    """Fine-tune and evaluate; print what came of it; return the version."""
    fields = {key: value for key, value in spec.items() if key in ("recipe", "base_model")}
    hyperparameters = {key: value for key, value in spec.items() if key not in fields}
    job = e2e.finetune(
        client, dataset, evaluated=True, hyperparameters={**hyperparameters, "seed": seed}, **fields
    )
    ended = e2e.ended(client, job["id"], seconds=SECONDS)
    assert ended["status"] == "succeeded", ended
    evaluated = e2e.ended(client, ended["result"]["evaluate_job"], seconds=SECONDS)
    found = client.get(f"/evaluations/{evaluated['result']['evaluation']}").json()
    calibration, metrics = found["calibration"], found["metrics"]
    print(
        f"{found['version']}, seed {seed}: accuracy {metrics['accuracy']['value']:.4f}, "
        f"calibration error {calibration['ece_before']:.4f} before, "
        f"{calibration['ece_after']:.4f} at temperature {calibration['temperature']:.2f}",
        flush=True,
    )
    return str(found["version"])


def judge(client: httpx.Client, dataset: str, versions: list[str]) -> None:
    """Print what a gate finds of each version beside each other one, both ways."""
    stopped, gaps = 0, []
    for a, b in itertools.permutations(versions, 2):
        query = {"a": a, "b": b, "dataset": dataset, "split": "test"}
        answer = client.get("/compare", params=query)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        accuracy, changed = found["metrics"]["accuracy"], found["changed"]
        losses = [test["metric"] for test in found["tests"] if test["worse"]]
        losses += [label["label"] for label in found["labels"] if label["worse"]]
        stopped += bool(losses)
        gaps.append(abs(accuracy["difference"]))
        print(
            f"{a} beside {b}: {accuracy['difference']:+.4f} "
            f"[{accuracy['low']:+.4f}..{accuracy['high']:+.4f}], fixed {changed['fixed']}, "
            f"broken {changed['broken']}, McNemar {changed['p_value']:.3f}; "
            f"losses: {', '.join(losses) or 'none'}"
        )
    if gaps:
        print(
            f"{len(gaps)} ordered pairs: {stopped} would be stopped; accuracy differs by "
            f"{statistics.median(gaps):.4f}, at most {max(gaps):.4f}"
        )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
