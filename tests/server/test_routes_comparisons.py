"""Comparisons and gates, through the real reader on its socket."""

from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.server.conftest import Api
from tests.server.test_routes_rows import with_reader

from tunery.types import DeploymentSpec
from tunery_server.db.queries import deployments
from tunery_trainer.tasks import Judged

TRUTH = ["a", "b"] * 20
LATENCY = {
    "device": "cpu",
    "threads": 1,
    "single": {"p50_ms": 3.0, "p95_ms": 5.0},
    "eight": {"p50_ms": 9.0, "p95_ms": 12.0},
}


def evaluated(api: Api, version: str, dataset: str, *, wrong: int = 0, **fields: Any) -> str:
    """Store an evaluation of 40 rows, of which the first ones were answered wrong."""
    texts = [f"text {i}" for i in range(len(TRUTH))]
    rows = pa.table({"line": range(2, len(TRUTH) + 2), "text": texts, "label": TRUTH})
    turned = ["b" if label == "a" else "a" for label in TRUTH[:wrong]] + TRUTH[wrong:]
    figures = {
        "metrics": {"accuracy": {"value": 1 - wrong / len(TRUTH)}},
        "rows": len(TRUTH),
        "per_class": [{"label": "a", "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 20}],
        "latency": LATENCY,
    }
    return api.add_evaluation(
        rows,
        Judged(turned, *np.zeros((3, len(TRUTH)))),
        **{"version": version, "dataset": dataset, **figures, **fields},
    )


def serving(api: Api, version: str) -> None:
    """Let the deployment `intent` serve a version."""

    async def body() -> None:
        spec = DeploymentSpec(version=version)
        async with api.services.database.write() as connection:
            await deployments.put(connection, "default", "intent", spec)
            await deployments.write_actual(
                connection, "default", "intent", status="ready", actual_spec=spec
            )

    api.run(body())


def put(api: Api, version: str, dataset: str, **gate: Any) -> httpx.Response:
    spec = {"version": version, "gate": {"dataset": dataset, **gate}}
    headers = {"Content-Type": "application/json"}
    sent = api.send(
        "PUT", "/deployments/intent", content=msgspec.json.encode(spec), headers=headers
    )
    return with_reader(api, sent)


def pointers(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (409, "gate-failed"), answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


def test_two_versions_are_compared_by_their_newest_evaluations(api: Api) -> None:
    dataset = api.add_dataset()
    new, old = api.add_version(), api.add_version("old")
    evaluated(api, new, dataset, wrong=30)
    newest = evaluated(api, new, dataset, wrong=2)
    evaluated(api, old, dataset, wrong=6)

    path = f"/compare?a={new}&b={old}&dataset={dataset}"
    found = with_reader(api, api.send("GET", path)).json()

    assert (found["a"]["version"], found["a"]["evaluation"]) == (new, newest)
    assert (found["a"]["bytes"], found["a"]["latency"]["single"]["p95_ms"]) == (1, 5.0)
    assert found["metrics"]["accuracy"]["difference"] == pytest.approx(0.1)
    assert (found["changed"]["fixed"], found["changed"]["broken"]) == (4, 0)
    assert [row["row"] for row in found["fixed"]] == [2, 3, 4, 5]
    assert (found["split"], found["runtime"], found["precision"]) == ("test", "torch", "fp32")


def test_what_was_not_evaluated_alike_is_not_compared(api: Api) -> None:
    dataset = api.add_dataset()
    new, old = api.add_version(), api.add_version("old")
    path = f"/compare?a={new}&b={old}&dataset={dataset}"

    without = api.get(path)
    evaluated(api, new, dataset)
    evaluated(api, old, dataset, precision="bf16")
    apart = api.get(path)

    for answer, name in ((without, new), (apart, old)):
        assert (answer.status_code, answer.json()["code"]) == (409, "not-evaluated")
        assert f"tunery evaluate {name} --dataset {dataset} --split test" in answer.json()["hint"]
    assert "--runtime torch --precision fp32" in apart.json()["hint"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("a=intent/9&b=intent/1", 404, "model-not-found"),
        ("a=intent/1&b=intent", 404, "model-not-found"),
        ("a=ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B&b=intent/1", 404, "checkpoint-not-found"),
        ("a=intent/1&b=intent/1&dataset=x", 404, "dataset-not-found"),
        ("a=intent/1&b=intent/1", 404, "dataset-not-found"),
        ("a=intent/1&b=intent/1&split=all", 422, "schema-violation"),
        ("a=intent/1", 422, "missing-required-field"),
    ],
)
def test_what_can_not_be_compared_is_refused(api: Api, query: str, status: int, code: str) -> None:
    assert api.add_version() == "intent/1"

    answer = api.get(f"/compare?{query}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_version_that_is_as_good_passes(api: Api) -> None:
    dataset = api.add_dataset()
    new, old = api.add_version(), api.add_version("old")
    serving(api, old)
    evaluated(api, new, dataset, wrong=5)
    evaluated(api, old, dataset, wrong=4)

    answer = put(api, new, dataset, minimum={"accuracy": 0.8, "recall@a": 0.8}, max_latency_ms=5)

    assert answer.status_code == 202
    assert answer.json()["desired"]["version"] == new


def test_a_loss_is_refused_with_what_was_lost_and_nothing_changes(api: Api) -> None:
    dataset = api.add_dataset()
    new, old = api.add_version(), api.add_version("old")
    serving(api, old)
    evaluated(api, new, dataset, wrong=20)
    evaluated(api, old, dataset)

    refused = put(api, new, dataset)
    whole_only = put(api, new, dataset, no_label_loss=False)
    neither = put(api, new, dataset, no_loss=False, no_label_loss=False)

    assert pointers(refused) == ["/gate/no_loss"] * 2 + ["/gate/no_label_loss"] * 2
    messages = [error["message"] for error in refused.json()["errors"]]
    assert messages[0].startswith("accuracy 0.5000 is worse than the 1.0000 of old/1")
    assert messages[2] == "label 'a' is worse than with old/1: 20 rows broken, 0 fixed"
    assert pointers(whole_only) == ["/gate/no_loss"] * 2
    assert neither.status_code == 202
    assert neither.json()["desired"]["generation"] == 2  # the first was that of what serves


def test_bounds_are_judged_also_where_nothing_serves(api: Api) -> None:
    dataset = api.add_dataset()
    new = api.add_version()
    found = evaluated(api, new, dataset, wrong=4)

    answer = put(
        api,
        new,
        dataset,
        minimum={"accuracy": 0.95, "recall@a": 0.9, "recall@nobody": 0.1},
        maximum={"accuracy": 0.5},
        max_latency_ms=4.5,
    )

    assert pointers(answer) == ["/gate/minimum"] * 3 + ["/gate/maximum", "/gate/max_latency_ms"]
    assert [error["message"] for error in answer.json()["errors"]] == [
        "accuracy is 0.9000, the minimum 0.95",
        "recall@a is 0.8000, the minimum 0.9",
        f"{found} has no figure 'recall@nobody'",
        "accuracy is 0.9000, the maximum 0.5",
        "95 % of single texts take 5.00 ms, more than 4.5",
    ]


def test_a_version_without_an_evaluation_that_counts_is_refused(api: Api) -> None:
    dataset = api.add_dataset()
    new = api.add_version()
    evaluated(api, new, dataset, precision="bf16")
    evaluated(api, new, dataset, runtime="openvino")

    answer = put(api, new, dataset)

    assert pointers(answer) == ["/gate"]
    assert answer.json()["detail"] == (
        f"{new} has no evaluation on split test of {dataset} through torch in fp32; run: "
        f"tunery evaluate {new} --dataset {dataset} --split test --runtime torch --precision fp32"
    )


def test_what_can_not_be_judged_yet_is_left_to_the_supervisor(api: Api) -> None:
    """What serves has no evaluation; then that of the version goes on."""
    dataset = api.add_dataset()
    new, other, old = api.add_version(), api.add_version("other"), api.add_version("old")
    serving(api, old)
    evaluated(api, new, dataset)

    accepted = put(api, new, dataset)
    also_short = put(api, new, dataset, minimum={"accuracy": 1.1})
    api.post("/evaluate", {"version": other, "dataset": dataset})
    waiting = put(api, other, dataset)

    assert accepted.status_code == 202
    assert pointers(also_short) == ["/gate/minimum", "/gate"]
    assert waiting.status_code == 202, waiting.text


def test_a_gate_on_a_dataset_that_is_not_there_is_refused(api: Api) -> None:
    version = api.add_version()

    answer = put(api, version, "ds_nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "dataset-not-found")


def test_a_rollback_asks_no_gate(api: Api) -> None:
    first, second = api.add_version(), api.add_version("other")
    gated = msgspec.convert({"version": first, "gate": {"minimum": {"f1": 2.0}}}, DeploymentSpec)

    async def body() -> None:
        async with api.services.database.write() as connection:
            for spec in (gated, DeploymentSpec(version=second)):
                generation = await deployments.put(connection, "default", "intent", spec)
                await deployments.append_history(
                    connection,
                    "default",
                    "intent",
                    generation=generation,
                    spec=spec,
                    outcome="ready",
                )

    api.run(body())
    answer = api.post("/deployments/intent/rollback")

    assert answer.status_code == 202

    async def desired() -> Any:
        async with api.services.database.read() as connection:
            [row] = await deployments.all_rows(connection)
        return row.desired

    assert api.run(desired()) == DeploymentSpec(version=first)


@pytest.mark.parametrize(
    ("then", "pointer"),
    [
        ({"evaluate": False}, "/then/evaluate"),
        ({"split": "validation"}, "/then/deploy/gate"),
        ({"dataset": "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"}, "/then/deploy/gate"),
    ],
)
def test_a_gate_that_no_evaluation_follows_is_refused(
    api: Api, then: dict[str, Any], pointer: str
) -> None:
    evaluate = then.pop("evaluate", True)
    spec = {"dataset": api.add_dataset(), "model": "intent", "base_model": "tiny"}
    deploy = {"name": "intent", "gate": then}

    answer = api.post("/finetune", {**spec, "then": {"evaluate": evaluate, "deploy": deploy}})

    assert (answer.status_code, answer.json()["code"]) == (422, "schema-violation")
    assert answer.json()["errors"][0]["pointer"] == pointer
