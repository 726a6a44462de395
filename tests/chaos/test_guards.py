"""What goes wrong in a fine-tune, in full counts, and that predictions meanwhile do not notice.

python -m pytest -s -m chaos tests/chaos/test_guards.py
"""

import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.test_guards import (
    STEPS,
    caller,
    guarded,
    poisoned,
    stepping,
    warnings_of,
    words,
)

__all__ = ["caller", "guarded", "words"]  # fixtures
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]
TIMES = 20
MINILM = {"batch_size": 16, "max_steps": 200, "max_length": 32, "early_stopping": None}
CGROUP = Path("/sys/fs/cgroup/memory/tunery-test")  # cgroup v1


@pytest.fixture(scope="module")
def served(caller: httpx.Client) -> str:
    """Return the name of a deployment that answers."""
    made = e2e.finetune(caller, e2e.dataset(caller)["id"], hyperparameters={"max_steps": 4})
    e2e.deployed(caller, "bystander", e2e.ended(caller, made["id"])["result"]["version"])
    return "bystander"


@contextlib.contextmanager
def predicting(service: e2e.Service, name: str) -> Iterator[None]:
    """Ask all the while, one at a time; print how that went, and fail if one was not answered."""
    ended = threading.Event()
    statuses: list[int] = []
    seconds: list[float] = []

    def ask() -> None:
        with service.client() as client:
            while not ended.is_set():
                began = time.monotonic()
                body = {"model": name, "inputs": ["where is my refund"]}
                statuses.append(client.post("/predict", json=body).status_code)
                seconds.append(time.monotonic() - began)
                time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    ranked = sorted(seconds)
    print(
        f"{len(statuses)} predictions meanwhile, {sum(s != 200 for s in statuses)} failed; "
        f"p50 {statistics.median(ranked) * 1000:.0f} ms, "
        f"p99 {ranked[int(len(ranked) * 0.99)] * 1000:.0f} ms"
    )
    assert set(statuses) == {200}


def test_twenty_losses_that_are_no_number(
    guarded: e2e.Service, caller: httpx.Client, words: str, served: str
) -> None:
    with predicting(guarded, served):
        poisoned(caller, words, seeds=list(range(TIMES)))


def test_an_absurd_rate_is_warned_of(
    guarded: e2e.Service, caller: httpx.Client, words: str, served: str
) -> None:
    """In fp32 nothing overflows even so: LayerNorm and clipping bound what a step can do."""
    asked = {**STEPS, "learning_rate": 1.0, "head_learning_rate": 10.0, "optimizer": "sgd",
             "max_grad_norm": 1e6, "momentum": 0.99, "epochs": 200}  # fmt: skip
    with predicting(guarded, served):
        job = e2e.finetune(caller, words, base_model="tiny", model="d", hyperparameters=asked)
        end = e2e.ended(caller, job["id"])

    points = losses_of(caller, job["id"])
    print(f"{end['status']}, {end['error']}; loss {points[0]:.2f}, at worst {max(points):.3g}")
    assert warnings_of(caller, job["id"])[0] == "unusual-learning-rate"
    assert max(points) > 10 * points[0]


def losses_of(client: httpx.Client, job: str) -> list[float]:
    """Return the finite losses of a job."""
    points = client.get(f"/jobs/{job}/metrics").json()["data"]
    losses = [point["values"].get("loss") for point in points]
    return [loss for loss in losses if isinstance(loss, float)]


def test_a_rollback_goes_back_once_with_half_the_rate(caller: httpx.Client, words: str) -> None:
    asked = {**STEPS, "seed": 7, "on_non_finite": "rollback"}
    job = e2e.finetune(caller, words, base_model="poisoned", model="p", hyperparameters=asked)

    end = e2e.ended(caller, job["id"])

    # The word is still there: half the rate does not help, and that is the end of it.
    assert (end["attempt"], end["error"]["code"]) == (2, "non-finite-loss")
    assert end["resolved"]["learning_rate"] == {
        "value": STEPS["learning_rate"] / 2,
        "source": "auto:non-finite-loss",
    }
    assert warnings_of(caller, job["id"]) == ["non-finite-loss"]


def test_a_trainer_that_dies_at_start_is_given_up_after_three_deaths(
    caller: httpx.Client, words: str
) -> None:
    began = time.monotonic()
    job = e2e.finetune(caller, words, base_model="cut", model="cut")

    end = e2e.ended(caller, job["id"])

    print(f"given up after {time.monotonic() - began:.1f} s: {end['error']['message']}")

    assert (end["status"], end["attempt"]) == ("failed", 3)
    assert end["error"]["code"] == "crash-loop"
    assert "SafetensorError" in end["error"]["log_tail"]
    assert warnings_of(caller, job["id"]) == ["worker-lost", "worker-lost"]


def test_memory_that_can_not_be_had_halves_the_micro_batch(
    guarded: e2e.Service, caller: httpx.Client
) -> None:
    """RLIMIT_AS: the allocator says no."""
    tickets = e2e.dataset(caller)
    job = e2e.finetune(caller, tickets["id"], model="narrow", hyperparameters=MINILM)
    pid = stepping(caller, guarded, job["id"])

    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (size - (64 << 20), size))

    goes_on_with_half(caller, job["id"])


def goes_on_with_half(client: httpx.Client, job: str) -> None:
    """Wait until a job goes on with parts of half the size, then end it."""
    again = e2e.wait_for(client, f"/jobs/{job}", lambda body: body["attempt"] == 2)
    assert again["resolved"]["gradient_accumulation_steps"] == {
        "value": 2,
        "source": "auto:out-of-memory",
    }
    assert again["resolved"]["batch_size"]["value"] == MINILM["batch_size"]
    assert warnings_of(client, job) == ["out-of-memory"]
    client.post(f"/jobs/{job}/cancel")
    assert e2e.ended(client, job)["status"] == "cancelled"


@pytest.mark.skipif(
    not os.access(CGROUP.parent, os.W_OK), reason="needs a cgroup v1 memory controller to write to"
)
def test_twenty_kills_by_the_kernel_for_memory(
    guarded: e2e.Service, caller: httpx.Client, served: str
) -> None:
    tickets = e2e.dataset(caller)["id"]
    CGROUP.mkdir(exist_ok=True)
    (CGROUP / "memory.limit_in_bytes").write_text(str(32 << 20))
    try:
        with predicting(guarded, served):
            for i in range(TIMES):
                job = e2e.finetune(caller, tickets, model="killed", hyperparameters=MINILM)
                pid = stepping(caller, guarded, job["id"])
                began = time.monotonic()
                (CGROUP / "cgroup.procs").write_text(str(pid))
                goes_on_with_half(caller, job["id"])
                print(f"{i}: named, and begun again after {time.monotonic() - began:.1f} s")
    finally:
        CGROUP.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount a tmpfs")
def test_a_full_disk_parks_the_job_until_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", disk], check=True)
    try:
        with e2e.running(disk / "d") as service, service.client() as client:
            job = e2e.finetune(
                client,
                e2e.dataset(client)["id"],
                hyperparameters=MINILM,
                checkpoints={"every": 10, "keep_last": 1},
            )
            stepping(client, service, job["id"])
            filler = disk / "filler"
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - (8 << 20))

            parked = e2e.wait_for(
                client, f"/jobs/{job['id']}", lambda body: body["status"] == "paused"
            )
            assert parked["stop_reason"] == "disk-full"
            assert warnings_of(client, job["id"])[-1] == "insufficient-storage"
            assert len(client.get(f"/jobs/{job['id']}/checkpoints").json()["data"]) >= 1
            refused = client.post(
                "/finetune", json={"dataset": job["spec"]["dataset"], "model": "m"}
            )
            assert refused.status_code == 507

            filler.unlink()
            began = time.monotonic()
            resumed = e2e.wait_for(
                client, f"/jobs/{job['id']}", lambda body: body["status"] == "running"
            )
            print(f"resumed by itself {time.monotonic() - began:.0f} s after there was room")
            assert resumed["stop_reason"] is None
            client.post(f"/jobs/{job['id']}/cancel")
            e2e.ended(client, job["id"])
    finally:
        subprocess.run(["umount", disk], check=True)
