"""What goes wrong in a fine-tune: what the job says, what it does about it, who else notices."""

import csv
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from safetensors.torch import load_file, save_file
from tests.e2e import service as e2e
from tests.trainer.tiny_model import LABELS, write_base

POISON = "lost"  # its embedding is NaN in one of the base models
FILLERS = ["my", "the", "please", "about", "now", "why", "is"]
STEPS = {"batch_size": 8, "epochs": 3, "learning_rate": 1e-3, "refit": False, "freeze": []}
LONG = {**STEPS, "epochs": 400, "early_stopping": None}
NAN = {"value": None, "non_finite": "nan"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[e2e.Service]:
    """Yield a service with a tiny base model, a poisoned one, and one whose weights are cut."""
    folder = tmp_path_factory.mktemp("guarded")
    tiny = write_base(folder / "tiny")
    poisoned, cut = (Path(shutil.copytree(tiny, folder / name)) for name in ("poisoned", "cut"))
    weights = load_file(poisoned / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][14] = float("nan")  # POISON, the last of them
    save_file(weights, poisoned / "model.safetensors", metadata={"format": "pt"})
    with (cut / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    bases = ",".join(f"{path.name}={path}" for path in (tiny, poisoned, cut))
    with e2e.running(folder / "d", spares=1, stall_seconds=4, base_models=bases) as service:
        yield service


@pytest.fixture(scope="module")
def caller(guarded: e2e.Service) -> Iterator[httpx.Client]:
    with guarded.client() as client:
        yield client


@pytest.fixture(scope="module")
def words(caller: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a dataset of which one training row, the 41st, holds the poisoned word."""
    folder = tmp_path_factory.mktemp("words")
    files = {}
    for split, count in (("train", 96), ("validation", 12), ("test", 12)):
        path = folder / f"{split}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for i in range(count):
                fillers = " ".join(FILLERS[(i * 3 + j * (i % 5 + 1)) % 7] for j in range(4))
                ending = f" {POISON}" if split == "train" and i == 40 else ""
                writer.writerow([f"{LABELS[i % 3]} {fillers} {split}{ending}", LABELS[i % 3]])
        files[split] = e2e.upload(caller, path)
    spec = {"name": "words", "files": files, "policies": {"leakage": "warn"}}
    answer = caller.post("/datasets", json=spec)
    ready = e2e.wait_for(
        caller, answer.headers["Location"], lambda body: body["status"] != "validating"
    )
    assert ready["status"] == "ready", ready
    return str(ready["id"])


def warnings_of(client: httpx.Client, job: str) -> list[str]:
    events = client.get(f"/jobs/{job}/events?limit=1000").json()["data"]
    return [event["data"]["code"] for event in events if event["type"] == "warning"]


def stepping(client: httpx.Client, service: e2e.Service, job: str) -> int:
    """Return the pid of a job's trainer, once it has saved a checkpoint."""
    e2e.wait_until(
        lambda: client.get(f"/jobs/{job}/checkpoints").json()["data"], "a checkpoint", service.log
    )
    return e2e.trainer_of(service)


def test_a_loss_that_is_no_number_stops_at_its_step(caller: httpx.Client, words: str) -> None:
    poisoned(caller, words, seeds=[7])


# The same with full counts, and what takes longer: tests/chaos/test_guards.py


def poisoned(client: httpx.Client, words: str, *, seeds: list[int]) -> None:
    """Train the model whose one word is NaN; the seed decides at which step it is met."""
    for seed in seeds:
        asked = {**STEPS, "seed": seed}
        job = e2e.finetune(
            client, words, base_model="poisoned", model="poisoned", hyperparameters=asked
        )
        end = e2e.ended(client, job["id"])

        assert (end["status"], end["error"]["code"]) == ("failed", "non-finite-loss"), end
        points = client.get(f"/jobs/{job['id']}/metrics").json()["data"]
        nan = [p["step"] for p in points if p["values"].get("loss") == NAN]
        assert nan == [points[-1]["step"]]
        assert f"at step {nan[0]} " in end["error"]["message"]
        assert (end["attempt"], end["result"]) == (1, None)
        print(f"seed {seed}: NaN at step {nan[0]}, the job failed at once")


def test_a_stopped_trainer_is_found_and_its_stack_is_in_the_log(
    guarded: e2e.Service, caller: httpx.Client, words: str
) -> None:
    job = e2e.finetune(caller, words, base_model="tiny", model="stopped", hyperparameters=LONG)
    pid = stepping(caller, guarded, job["id"])

    os.kill(pid, signal.SIGSTOP)

    e2e.wait_until(
        lambda: warnings_of(caller, job["id"]) == ["stalled"], "it is found", guarded.log
    )
    log = caller.get(f"/jobs/{job['id']}/logs?attempt=1&tail=200").json()["lines"]
    assert any("most recent call first" in line for line in log), log
    assert any("train.py" in line for line in log)
    assert not e2e.alive(pid)
    e2e.wait_for(caller, f"/jobs/{job['id']}", lambda body: body["attempt"] == 2)
    caller.post(f"/jobs/{job['id']}/cancel")
    assert e2e.ended(caller, job["id"])["status"] == "cancelled"
