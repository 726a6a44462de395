"""Gates on a real service: a worse version never takes over, and a good one does."""

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

UNTRAINED = {**QUICK, "max_steps": 1, "learning_rate": 1e-7, "linear_probe": False}


@pytest.fixture(scope="module")
def evaluated(client: httpx.Client, versions: list[dict]) -> list[str]:
    """Return two versions that are as good as each other, with their evaluations."""
    for job in versions:
        e2e.ended(client, job["result"]["evaluate_job"])
    return [job["result"]["version"] for job in versions]


def finetuned(client: httpx.Client, dataset: str, name: str, gate: dict, **spec: object) -> dict:
    """Return a fine-tune's job whose version is to be deployed if its gate lets it pass."""
    then = {"evaluate": True, "deploy": {"name": name, "gate": gate}}
    job = e2e.finetune(client, dataset, model=name, then=then, **spec)
    return e2e.ended(client, job["id"])


def settled(client: httpx.Client, name: str, version: str) -> dict:
    """Wait until a deployment has done with a version."""

    def done(body: dict) -> bool:
        return body["desired"]["version"] == version and body["status"] != "loading"

    return e2e.wait_for(client, f"/deployments/{name}", done)


def test_two_versions_are_compared_row_by_row(
    client: httpx.Client, tickets: dict, evaluated: list[str]
) -> None:
    a, b = evaluated

    answer = client.get("/compare", params={"a": a, "b": b})

    found = answer.json()
    assert (answer.status_code, found["dataset"]) == (200, tickets["id"])
    assert found["rows"] == tickets["splits"]["test"]
    assert (found["runtime"], found["precision"]) == ("openvino", "fp32")
    for side in ("a", "b"):
        evaluation = client.get(f"/evaluations/{found[side]['evaluation']}").json()
        for name in ("accuracy", "macro_f1", "loss"):
            expected = pytest.approx(evaluation["metrics"][name]["value"])
            assert found["metrics"][name][side] == expected
        latency = evaluation["latency"]
        assert found[side]["latency"] == latency
        assert 0 < latency["single"]["p50_ms"] <= latency["single"]["p95_ms"]
    assert found["changed"]["fixed"] >= len(found["fixed"])


def test_a_gate_waits_for_the_evaluation_and_keeps_a_worse_version_out(
    client: httpx.Client, tickets: dict, evaluated: list[str]
) -> None:
    e2e.deployed(client, "guarded", evaluated[0])

    job = finetuned(client, tickets["id"], "guarded", {}, hyperparameters=UNTRAINED)

    version = job["result"]["version"]
    found = settled(client, "guarded", version)
    assert (found["status"], found["error"]["code"]) == ("degraded", "gate-failed")
    assert f"of {evaluated[0]}" in found["error"]["message"]
    assert found["history"][0]["outcome"] == "gate-failed"
    answer = client.post("/predict", json={"model": "guarded", "inputs": ["refund"]}).json()
    assert answer["version"] == evaluated[0]
    refused = client.put("/deployments/guarded", json={"version": version, "gate": {}})
    assert (refused.status_code, refused.json()["code"]) == (409, "gate-failed")
    assert "/gate/no_loss" in [error["pointer"] for error in refused.json()["errors"]]


def test_a_gate_lets_a_good_version_pass(client: httpx.Client, tickets: dict) -> None:
    """Good is what the recall of one label says, which has chosen the checkpoint, too."""
    metric = "recall@delivery"
    job = finetuned(
        client,
        tickets["id"],
        "open",
        {"minimum": {metric: 0.05}},
        primary_metric=metric,
        hyperparameters=QUICK,
    )

    found = settled(client, "open", job["result"]["version"])

    assert (found["status"], found["error"]) == ("ready", None)
    assert found["actual"]["version"] == job["result"]["version"]
    assert job["resolved"]["early_stopping"]["value"]["metric"] == metric
    query = {"model": "open", "sort": f"-{metric}"}
    [evaluation] = client.get("/evaluations", params=query).json()["data"]
    assert evaluation["primary_metric"] == metric
    assert evaluation["baselines"].keys() == {"majority", "tfidf", "untrained"}


def test_what_serves_without_an_evaluation_leaves_the_deployment_degraded(
    client: httpx.Client, tickets: dict, evaluated: list[str]
) -> None:
    job = e2e.finetune(client, tickets["id"], model="unknown", hyperparameters=QUICK)
    unknown = e2e.ended(client, job["id"])["result"]["version"]
    e2e.deployed(client, "beside", unknown)

    answer = client.put("/deployments/beside", json={"version": evaluated[0], "gate": {}})

    assert answer.status_code == 202
    found = settled(client, "beside", evaluated[0])
    assert (found["status"], found["error"]["code"]) == ("degraded", "gate-failed")
    assert f"tunery evaluate {unknown}" in found["error"]["message"]
    assert found["actual"]["version"] == unknown


def test_an_evaluation_of_another_runtime_does_not_count(
    client: httpx.Client, tickets: dict, evaluated: list[str]
) -> None:
    version = evaluated[0]
    spec = {"version": version, "runtime": "torch", "gate": {"no_loss": False}}

    before = client.put("/deployments/torch", json=spec)
    asked = {"version": version, "dataset": tickets["id"], "runtime": "torch"}
    job = client.post("/evaluate", json=asked).json()
    evaluation = e2e.ended(client, job["id"])["result"]["evaluation"]
    after = client.put("/deployments/torch", json=spec)

    assert (before.status_code, before.json()["code"]) == (409, "gate-failed")
    assert "through torch in fp32" in before.json()["detail"]
    assert client.get(f"/evaluations/{evaluation}").json()["runtime"] == "torch"
    assert after.status_code == 202
