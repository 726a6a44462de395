"""A fine-tune that begins with a version of its own project, over HTTP to the answer."""

from pathlib import Path

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

SAID = {
    "card": "my card was swallowed by machine",
    "parcel": "the parcel has not arrived at house",
    "refund": "please give back what I paid for order",
}


def rows_of(labels: list[str], folder: Path) -> Path:
    """Write 40 rows of each label."""
    path = folder / f"{len(labels)}.csv"
    rows = [f"{SAID[label]} {i},{label}" for i in range(40) for label in labels]
    path.write_text("\n".join(["text,label", *rows]))
    return path


@pytest.fixture(scope="module")
def first(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return the finished job of a model that knows two labels."""
    path = rows_of(["card", "parcel"], tmp_path_factory.mktemp("two"))
    made = e2e.dataset(client, path, "growing", policies={"near_duplicates": "skip"})
    job = e2e.finetune(client, made["id"], model="growing", hyperparameters=QUICK)
    ended = e2e.ended(client, job["id"])
    assert ended["status"] == "succeeded", ended
    return ended


@pytest.fixture(scope="module")
def third_label(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return a dataset with one more label."""
    path = rows_of(["card", "parcel", "refund"], tmp_path_factory.mktemp("three"))
    return e2e.dataset(client, path, "growing", policies={"near_duplicates": "skip"})


def test_a_version_learns_one_more_label(
    client: httpx.Client, first: dict, third_label: dict
) -> None:
    version = first["result"]["version"]
    asked = {"model": "growing", "base_model": version, "hyperparameters": QUICK}

    job = e2e.finetune(client, third_label["id"], **asked)
    ended = e2e.ended(client, job["id"])

    assert ended["status"] == "succeeded", ended
    events = client.get(f"/jobs/{job['id']}/events?limit=100").json()["data"]
    [taken] = [event["data"] for event in events if event["type"] == "log"]
    assert (taken["kept"], taken["new"], taken["dropped"]) == (2, 1, 0)
    assert "2 of 2 rows of the head; new: 'refund'" in taken["message"]
    made = client.get("/models/growing").json()["latest"]
    assert (made["version"], made["base_model"]) == (ended["result"]["version"], version)
    e2e.deployed(client, "growing", made["version"])
    answer = client.post("/predict", json={"model": "growing", "inputs": list(SAID.values())})
    assert [each["label"] for each in answer.json()["predictions"]] == list(SAID)


def test_a_version_is_estimated_and_previewed(
    client: httpx.Client, first: dict, third_label: dict
) -> None:
    version = first["result"]["version"]
    spec = {"dataset": third_label["id"], "model": "growing", "base_model": version}

    estimate = client.post("/finetune/estimate", json=spec)
    preview = client.get(f"/datasets/{third_label['id']}/preview?base_model={version}")

    assert estimate.status_code == 200, estimate.text
    assert estimate.json()["measured"] is not None
    assert preview.status_code == 200, preview.text
    assert preview.json()["rows"][0]["tokens"][0] == "[CLS]"


def test_a_version_that_there_is_not_is_refused(
    client: httpx.Client, first: dict, third_label: dict
) -> None:
    spec = {"dataset": third_label["id"], "model": "x", "base_model": "growing/99"}

    answer = client.post("/finetune", json=spec)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-base-model")
