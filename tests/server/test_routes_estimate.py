"""Estimates: forecast by the real reader, timed by jobs that have succeeded."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.conftest import Api
from tests.server.test_routes_rows import add_dataset, with_reader
from tests.trainer.tiny_model import write_base

from tunery.types import Pace, Progress
from tunery_server.db.queries import jobs

ROWS = [(f"my {label} is lost {i}", label) for i in range(20) for label in ("card", "loan")]
PACE = Pace(device="cpu", training_tokens=100, training_seconds=1.0)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


def estimated(api: Api, base: Path, dataset: str, **spec: Any) -> httpx.Response:
    asked = {"dataset": dataset, "model": "intent", "base_model": "tiny", **spec}
    sending = api.send("POST", "/finetune/estimate", json=asked)
    return with_reader(api, sending, base_models={"tiny": str(base)})


def tickets(api: Api, **values: Any) -> str:
    rows = {"train": ROWS, "validation": ROWS[:8]}
    return add_dataset(api, rows, train=len(ROWS), labels=["card", "loan"], **values)


def succeeded(api: Api, pace: Pace) -> str:
    """Return a fine-tune of `tiny` that has succeeded at this pace."""
    job_id = api.add_job(status="running", spec={"base_model": "tiny"})

    async def body() -> None:
        async with api.services.database.write() as connection:
            progress = Progress(phase="exporting", pace=pace)
            assert await jobs.record(connection, job_id, attempt=1, progress=progress)
            assert await jobs.move(connection, job_id, "succeeded", attempt=1)

    api.run(body())
    return job_id


def test_an_estimate_before_any_run_has_everything_but_the_seconds(api: Api, base: Path) -> None:
    answer = estimated(
        api, base, tickets(api), hyperparameters={"epochs": 3, "refit": False, "batch_size": 16}
    )

    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert (found["rows"], found["steps"], found["checkpoints"]) == (40, 9, 3)
    assert found["resolved"]["epochs"] == {"value": 3, "source": "user"}
    assert (found["seconds"], found["measured"]) == (None, None)
    assert found["reason"] == "no fine-tune of tiny on a CPU has succeeded here; one does"
    assert found["memory_bytes"] > found["disk_bytes"] > found["version_bytes"] > 0
    assert found["queue"] is None
    assert api.get("/jobs").json()["data"] == []


def test_the_seconds_rest_on_a_run_that_has_succeeded(api: Api, base: Path) -> None:
    job_id = succeeded(api, PACE)

    found = estimated(api, base, tickets(api)).json()

    assert found["measured"] == {
        "job": job_id,
        "device": "cpu",
        "tokens_per_second": 100.0,
        "alike": False,
    }
    assert found["seconds"] > found["tokens"] / 100
    assert found["reason"] is None


def test_an_estimate_says_what_it_would_wait_for(api: Api, base: Path) -> None:
    dataset = tickets(api)
    api.add_job(status="running")
    first = estimated(api, base, dataset).json()["queue"]
    api.add_job()

    second = estimated(api, base, dataset).json()["queue"]

    assert first == {"position": 1, "reason": "waiting-for-device", "eta_seconds": None}
    assert second == {"position": 2, "reason": "waiting-for-device", "eta_seconds": None}


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"base_model": "nobody"}, "unknown-base-model"),
        ({"hyperparameters": {"batch_size": 4000}}, "batch-exceeds-dataset"),
        ({"hyperparameters": {"freeze": [7]}}, "schema-violation"),
        ({"hyperparameters": {"max_length": 120}}, "max-length-exceeds-model"),
        ({"hyperparameters": {"num_train_epochs": 3}}, "unknown-field"),
    ],
)
def test_what_would_fail_is_refused(api: Api, base: Path, spec: dict[str, Any], code: str) -> None:
    answer = estimated(api, base, tickets(api), **spec)

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


@pytest.mark.parametrize(
    ("status", "answered"), [("validating", (409, "dataset-not-ready")), ("", (404, None))]
)
def test_a_dataset_must_be_ready(api: Api, status: str, answered: tuple[int, str | None]) -> None:
    dataset = api.add_dataset(status) if status else "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"

    answer = api.post(
        "/finetune/estimate", {"dataset": dataset, "model": "m", "base_model": "tiny"}
    )

    assert answer.status_code == answered[0]
    assert answered[1] in (None, answer.json()["code"])


def test_what_is_made_in_training_can_be_neither_estimated_nor_previewed(
    api: Api, base: Path
) -> None:
    dataset = tickets(api)

    estimate = estimated(api, base, dataset, base_model="scratch-mini")
    asking = api.send("GET", f"/datasets/{dataset}/preview?base_model=scratch-mini")
    preview = with_reader(api, asking)

    for answer in (estimate, preview):
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown-base-model")
        assert answer.json()["detail"] == "scratch-mini has no tokenizer before training"
