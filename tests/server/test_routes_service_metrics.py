"""`GET /metrics`: who may see what of it. Its sums are tested on a real service, in tests/e2e."""

from collections.abc import Coroutine
from typing import Any

import httpx
from tests.server.conftest import Api

from tunery_server.figures import SERVICE, EngineState, ServiceFigures, observe, show
from tunery_trainer.protocol.figures import EngineFigures

HELD = {"oldest_seconds": 0.5, "resident_bytes": 7, "device_bytes": 0}


def figures() -> ServiceFigures:
    found = ServiceFigures(
        resident_bytes=1,
        workers=[2, 3],
        predictions={},
        engines=[
            EngineState(owner=("default", "intent"), held_tokens=11, **HELD),
            EngineState(owner=("other", "secret"), held_tokens=12, **HELD),
            EngineState(owner=("default", "intent"), held_tokens=13, **HELD),
        ],
        done={
            ("default", "intent"): EngineFigures(texts=9, abstained=2),
            ("other", "secret"): EngineFigures(),
        },
        swaps={},
        deaths={("default", "intent"): 1, ("other", "secret"): 2},
        slots={"cuda:0": True},
        artifact_bytes={},
        free_bytes=4,
    )
    for project, deployment in (("default", "intent"), ("other", "secret"), ("", "")):
        observe(found.predictions, (project, deployment, "ok"), 0.01)
        observe(found.swaps, (project, deployment, "ready"), 0.01)
    return found


def shown(api: Api, request: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Run a request while a supervisor shows its figures."""

    async def current() -> ServiceFigures:
        return figures()

    async def body() -> httpx.Response:
        server = await show(api.services.settings.run_dir / SERVICE, current)
        async with server:
            return await request

    return api.run(body())


def test_a_key_sees_its_own_project_and_the_machine(api: Api) -> None:
    api.add_job(status="running")
    headers = api.headers("predict")

    page = shown(api, api.send("GET", "/metrics", headers=headers)).text.splitlines()

    assert not [line for line in page if "secret" in line]
    for line in (
        'tunery_predict_seconds_count{deployment="intent",code="ok"} 1',
        'tunery_predict_seconds_count{deployment="",code="ok"} 1',
        'tunery_swap_seconds_count{deployment="intent",outcome="ready"} 1',
        'tunery_queue_tokens{deployment="intent",engine="0"} 11',
        'tunery_queue_tokens{deployment="intent",engine="1"} 13',
        'tunery_abstained_texts_total{deployment="intent"} 2',
        'tunery_engine_deaths_total{deployment="intent"} 1',
        'tunery_jobs{kind="finetune",status="running"} 1',
        'tunery_slot_busy{device="cuda:0"} 1',
        'tunery_worker_resident_bytes{worker="1"} 3',
        "tunery_supervisor_resident_bytes 1",
    ):
        assert line in page


def test_metrics_need_a_key(api: Api) -> None:
    answer = shown(api, api.send("GET", "/metrics", anonymous=True))

    assert answer.status_code == 401


def test_metrics_without_a_supervisor_are_503(api: Api) -> None:
    answer = api.get("/metrics")

    assert (answer.status_code, answer.json()["code"]) == (503, "server-starting")


def test_a_worker_counts_by_deployment_and_code(api: Api) -> None:
    api.add_deployment("intent", "ready", ("nowhere",))
    predictions = api.services.figures.predictions

    soon = {"X-Request-Timeout-Ms": "300"}
    api.post("/predict", {"model": "intent", "inputs": ["a"]}, headers=soon)
    api.post("/predict", {"model": "a" * 60, "inputs": ["a"]})
    api.post("/predict", b"{")
    api.request("POST", "/predict", headers={"Host": "elsewhere"})
    api.get("/health/live")

    assert {key: each.count for key, each in predictions.items()} == {
        ("default", "intent", "engine-restarted"): 1,
        ("default", "", "model-not-found"): 1,
        ("", "", "malformed-json"): 1,
        ("", "", "misdirected-request"): 1,
    }
