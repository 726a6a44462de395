"""What the methods of both clients send: every route of the contract, and the headers of each."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.client.answers import (
    API_KEY,
    BASE_MODEL,
    CHECKPOINT,
    COMPARISON,
    CSV,
    DATASET,
    DEPLOYMENT,
    DEVICE,
    DIFF,
    ESTIMATE,
    EVALUATED_ROW,
    EVALUATION,
    FILE,
    JOB,
    JSON,
    KEY,
    LABEL_ISSUE,
    LIVE,
    MODEL,
    NEW_KEY,
    PREVIEW,
    PROBLEM_PAGE,
    READY,
    RECIPE,
    REPORT,
    ROW,
    TRANSFORMED,
    VERSION,
    Script,
    async_client_of,
    client_of,
    event,
    page,
    predicted,
    refused,
)

from tunery import AsyncClient, Client, Gate, InvalidArgument
from tunery.types import LabelIssue, RowLabel, Transform

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi" / "openapi.json").read_text("utf-8"))
STREAM = b"data: " + json.dumps(event(1, "end")).encode() + b"\n\n"

FINDINGS = b"".join(
    b'{"severity":"%b","code":"leakage","message":"left out","hint":"","line":4}\n' % severity
    for severity in (b"warning", b"dropped")
)
ANSWERS: dict[str, tuple[int, JSON | None]] = {
    "POST /files": (201, FILE),
    "GET /files/{file_id}": (200, FILE),
    "DELETE /files/{file_id}": (204, None),
    "POST /datasets": (202, DATASET),
    "GET /datasets": (200, page(DATASET)),
    "GET /datasets/{dataset_id}": (200, DATASET),
    "DELETE /datasets/{dataset_id}": (204, None),
    "POST /datasets/{dataset_id}/versions": (202, TRANSFORMED),
    "GET /datasets/{dataset_id}/report": (200, REPORT),
    "POST /datasets/{dataset_id}/label-issues": (202, JOB),
    "GET /datasets/{dataset_id}/label-issues": (
        200,
        {**page(LABEL_ISSUE), "total": 1, "job": "job_1"},
    ),
    "GET /datasets/{dataset_id}/rows": (200, page(ROW)),
    "GET /datasets/{dataset_id}/preview": (200, PREVIEW),
    "GET /datasets/{dataset_id}/diff": (200, DIFF),
    "GET /base-models": (200, {"data": [BASE_MODEL]}),
    "GET /recipes": (200, {"data": [RECIPE]}),
    "POST /finetune": (202, JOB),
    "POST /finetune/estimate": (200, ESTIMATE),
    "POST /evaluate": (202, JOB),
    "GET /jobs": (200, page(JOB)),
    "GET /jobs/{job_id}": (200, JOB),
    "POST /jobs/{job_id}/cancel": (200, JOB),
    "POST /jobs/{job_id}/pause": (200, JOB),
    "POST /jobs/{job_id}/resume": (200, JOB),
    "GET /jobs/{job_id}/events": (
        200,
        {"data": [event(1, "end")], "has_more": False, "last_seq": 1},
    ),
    "GET /jobs/{job_id}/metrics": (200, {"data": [{"step": 1, "values": {"loss": 0.8}}]}),
    "GET /jobs/{job_id}/logs": (200, {"attempt": 1, "lines": ["step 1"]}),
    "GET /jobs/{job_id}/checkpoints": (200, {"data": [CHECKPOINT]}),
    "GET /evaluations": (200, page(EVALUATION)),
    "GET /evaluations/{evaluation_id}": (200, EVALUATION),
    "GET /evaluations/{evaluation_id}/report": (200, EVALUATION),
    "GET /evaluations/{evaluation_id}/errors": (200, page(EVALUATED_ROW)),
    "GET /compare": (200, COMPARISON),
    "GET /models": (200, page(MODEL)),
    "GET /models/{name}": (200, MODEL),
    "GET /models/{name}/versions/{number}": (200, VERSION),
    "GET /deployments": (200, page(DEPLOYMENT)),
    "GET /deployments/{name}": (200, DEPLOYMENT),
    "PUT /deployments/{name}": (202, DEPLOYMENT),
    "DELETE /deployments/{name}": (202, DEPLOYMENT),
    "POST /deployments/{name}/rollback": (202, DEPLOYMENT),
    "GET /devices": (200, {"data": [DEVICE]}),
    "GET /keys": (200, page(API_KEY)),
    "POST /keys": (201, NEW_KEY),
    "DELETE /keys/{key_id}": (204, None),
    "GET /problems/{code}": (200, PROBLEM_PAGE),
    "GET /health/live": (200, LIVE),
    "GET /health/ready": (200, READY),
    "GET /metrics": (200, None),
    "GET /openapi.json": (200, {"openapi": "3.1.0"}),
}

# Each public method, by its place in the client, and one way to call it.
METHODS: dict[str, Callable[[Any], Any]] = {
    "live": lambda client: client.live(),
    "ready": lambda client: client.ready(),
    "problem": lambda client: client.problem("unknown-field"),
    "metrics": lambda client: client.metrics(),
    "openapi": lambda client: client.openapi(),
    "compare": lambda client: client.compare("intent/3", "intent/2", dataset="ds_1"),
    "tune": lambda client: client.tune(FILE["id"], model="intent", deploy="intent"),
    "files.upload": lambda client: client.files.upload(CSV, name="reviews.csv"),
    "files.get": lambda client: client.files.get("file_1"),
    "files.delete": lambda client: client.files.delete("file_1"),
    "datasets.create": lambda client: client.datasets.create(FILE["id"], name="reviews"),
    "datasets.wait": lambda client: client.datasets.wait("ds_1"),
    "datasets.transform": lambda client: client.datasets.transform("ds_1", ["strip_html"]),
    "datasets.list": lambda client: client.datasets.list(status="ready", name="reviews"),
    "datasets.get": lambda client: client.datasets.get("ds_1"),
    "datasets.delete": lambda client: client.datasets.delete("ds_1"),
    "datasets.report": lambda client: client.datasets.report("ds_1"),
    "datasets.findings": lambda client: client.datasets.findings("ds_1"),
    "datasets.rows": lambda client: client.datasets.rows("ds_1", split="test"),
    "datasets.find_label_issues": lambda client: client.datasets.find_label_issues("ds_1"),
    "datasets.label_issues": lambda client: client.datasets.label_issues("ds_1", split="test"),
    "datasets.relabel": lambda client: client.datasets.relabel("ds_1", [LabelIssue(**LABEL_ISSUE)]),
    "datasets.preview": lambda client: client.datasets.preview("ds_1", max_length=64),
    "datasets.diff": lambda client: client.datasets.diff("ds_1", since="ds_0"),
    "jobs.list": lambda client: client.jobs.list(status="running", kind="finetune"),
    "jobs.get": lambda client: client.jobs.get("job_1"),
    "jobs.wait": lambda client: client.jobs.wait("job_1"),
    "jobs.events": lambda client: client.jobs.events("job_1"),
    "jobs.cancel": lambda client: client.jobs.cancel("job_1"),
    "jobs.pause": lambda client: client.jobs.pause("job_1"),
    "jobs.resume": lambda client: client.jobs.resume("job_1"),
    "jobs.logs": lambda client: client.jobs.logs("job_1"),
    "jobs.metrics": lambda client: client.jobs.metrics("job_1"),
    "jobs.metrics_csv": lambda client: client.jobs.metrics_csv("job_1", names=["loss"]),
    "jobs.checkpoints": lambda client: client.jobs.checkpoints("job_1"),
    "finetune": lambda client: client.finetune("ds_1", model="intent"),
    "finetune.estimate": lambda client: client.finetune.estimate("ds_1"),
    "evaluations.create": lambda client: client.evaluations.create("intent/3", dataset="ds_1"),
    "evaluations.of": lambda client: client.evaluations.of("job_1"),
    "evaluations.list": lambda client: client.evaluations.list(dataset="ds_1"),
    "evaluations.list_csv": lambda client: client.evaluations.list_csv(sort="-accuracy"),
    "evaluations.get": lambda client: client.evaluations.get("eval_1"),
    "evaluations.report": lambda client: client.evaluations.report("eval_1"),
    "evaluations.card": lambda client: client.evaluations.card("eval_1"),
    "evaluations.plot": lambda client: client.evaluations.plot("eval_1", "confusion"),
    "evaluations.errors": lambda client: client.evaluations.errors("eval_1", true="a", right=True),
    "models.list": lambda client: client.models.list(),
    "models.get": lambda client: client.models.get("intent"),
    "models.version": lambda client: client.models.version("intent/3"),
    "models.base_models": lambda client: client.models.base_models(),
    "models.recipes": lambda client: client.models.recipes(),
    "deployments.deploy": lambda client: client.deployments.deploy("intent", "intent/3"),
    "deployments.rollback": lambda client: client.deployments.rollback("intent"),
    "deployments.wait": lambda client: client.deployments.wait("intent"),
    "deployments.list": lambda client: client.deployments.list(),
    "deployments.get": lambda client: client.deployments.get("intent"),
    "deployments.delete": lambda client: client.deployments.delete("intent"),
    "deployments.devices": lambda client: client.deployments.devices(),
    "predict": lambda client: client.predict("intent", ["hi", "there"]),
    "predict.responses": lambda client: client.predict.responses("intent", ["hi"]),
    "keys.list": lambda client: client.keys.list(),
    "keys.create": lambda client: client.keys.create("ci"),
    "keys.delete": lambda client: client.keys.delete("8a4TQz0c"),
}
NO_REQUEST = {"close", "url", "with_options", "jobs.bound"}


def operations() -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }


def operation_of(request: httpx.Request) -> str:
    """Return method and path with its parameters named, as the document has it."""
    path = request.url.raw_path.decode().partition("?")[0]
    for operation in [*ANSWERS, "POST /predict"]:
        method, _, template = operation.partition(" ")
        if request.method == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            return operation
    raise AssertionError(f"{request.method} {path} is no route")


class Recorder:
    """A service that answers everything, and knows what it was asked for."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        operation = operation_of(request)
        if operation == "POST /predict":
            return predicted(request)
        if request.headers["Accept"] == "text/event-stream":
            return httpx.Response(
                200, content=STREAM, headers={"Content-Type": "text/event-stream"}
            )
        if request.headers["Accept"] == "application/x-ndjson":
            return httpx.Response(200, content=FINDINGS)
        if request.headers["Accept"] == "text/csv":
            return httpx.Response(200, content=b"step,loss\n1,0.8\n")
        if request.headers["Accept"] == "text/plain":
            return httpx.Response(200, content=b'tunery_slot_busy{device="cpu"} 0\n')
        status, answer = ANSWERS[operation]
        return httpx.Response(status, json=answer) if answer else httpx.Response(status)

    @property
    def operations(self) -> set[str]:
        return {operation_of(request) for request in self.requests}


def drive(client: Client, method: str) -> Any:
    found = METHODS[method](client)
    if isinstance(found, Iterator) or type(found).__name__ == "Pages":
        return list(found)
    return found


async def drive_async(client: AsyncClient, method: str) -> Any:
    found = METHODS[method](client)
    if inspect.isawaitable(found):
        return await found
    assert isinstance(found, AsyncIterable), method
    return [item async for item in found]


def public_methods(client: object, inside: str = "") -> Iterator[str]:
    """Yield the places of everything that can be called, in the client and its namespaces."""
    for name in dir(client):
        value = getattr(client, name)
        if name.startswith("_"):
            continue
        if type(value).__module__.startswith("tunery"):
            if callable(value):
                yield name
            yield from public_methods(value, f"{name}.")
        elif callable(value):
            yield inside + name


def recorded(methods: list[str]) -> Recorder:
    recorder = Recorder()
    with client_of(recorder) as client:
        for method in methods:
            drive(client, method)
    return recorder


def test_every_operation_of_the_document_is_reached_by_a_method() -> None:
    recorder = recorded(list(METHODS))

    assert recorder.operations == operations()


def test_every_operation_is_reached_by_a_method_of_the_asynchronous_client() -> None:
    recorder = Recorder()

    async def body() -> None:
        async with async_client_of(recorder) as client:
            for method in METHODS:
                await drive_async(client, method)

    asyncio.run(body())
    assert recorder.operations == operations()


def test_both_clients_get_the_same_answers_by_the_same_requests() -> None:
    blocking, awaiting = Recorder(), Recorder()
    answers: dict[str, Any] = {}
    awaited: dict[str, Any] = {}

    with client_of(blocking) as client:
        for method in METHODS:
            answers[method] = drive(client, method)

    async def body() -> None:
        async with async_client_of(awaiting) as client:
            for method in METHODS:
                awaited[method] = await drive_async(client, method)

    asyncio.run(body())

    def shown(found: dict[str, Any]) -> dict[str, str]:
        return {name: re.sub(r"\bAsyncJob\b", "Job", repr(value)) for name, value in found.items()}

    def asked(recorder: Recorder) -> list[tuple[str, bytes, bytes, str | None]]:
        return [
            (each.method, each.url.raw_path, each.content, each.headers.get("Content-Type"))
            for each in recorder.requests
        ]

    assert shown(awaited) == shown(answers)
    assert asked(awaiting) == asked(blocking)


def test_the_table_of_methods_has_every_public_method() -> None:
    with client_of(Recorder()) as client:
        assert set(public_methods(client)) - NO_REQUEST == set(METHODS)


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("files.upload", "POST /files"),
        ("datasets.create", "POST /datasets"),
        ("datasets.transform", "POST /datasets/{dataset_id}/versions"),
        ("datasets.find_label_issues", "POST /datasets/{dataset_id}/label-issues"),
        ("finetune", "POST /finetune"),
        ("evaluations.create", "POST /evaluate"),
        ("jobs.cancel", "POST /jobs/{job_id}/cancel"),
        ("jobs.pause", "POST /jobs/{job_id}/pause"),
        ("jobs.resume", "POST /jobs/{job_id}/resume"),
        ("deployments.rollback", "POST /deployments/{name}/rollback"),
        ("keys.create", "POST /keys"),
    ],
)
def test_what_creates_is_sent_with_one_key_at_each_try(method: str, operation: str) -> None:
    tries: list[httpx.Request] = []
    answering = Recorder()

    def handler(request: httpx.Request) -> httpx.Response:
        if operation_of(request) == operation:
            tries.append(request)
            if len(tries) < 3:
                return refused("overloaded", 503, retry_after="0")
        return answering(request)

    with client_of(handler) as client:
        drive(client, method)

    keys = [request.headers["Idempotency-Key"] for request in tries]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", keys[0])


def test_every_post_that_makes_something_has_an_idempotency_key() -> None:
    recorder = recorded(list(METHODS))

    without = {
        operation_of(request)
        for request in recorder.requests
        if request.method == "POST" and "Idempotency-Key" not in request.headers
    }
    assert without == {"POST /predict", "POST /finetune/estimate"}


def test_nothing_but_a_post_has_an_idempotency_key() -> None:
    recorder = recorded(list(METHODS))

    with_key = {r.method for r in recorder.requests if "Idempotency-Key" in r.headers}
    assert with_key == {"POST"}


def test_two_calls_have_two_keys() -> None:
    recorder = recorded(["finetune", "finetune"])

    keys = {request.headers["Idempotency-Key"] for request in recorder.requests}
    assert len(keys) == 2


def test_a_key_of_the_caller_is_sent_as_it_is() -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        client.finetune("ds_1", model="intent", idempotency_key="nightly-2026-11-23")
        client.evaluations.create("intent/3", dataset="ds_1", idempotency_key="eval-7")

    keys = [request.headers["Idempotency-Key"] for request in recorder.requests]
    assert keys == ["nightly-2026-11-23", "eval-7"]


def test_every_request_has_an_id_and_each_call_another_one() -> None:
    recorder = recorded(["live", "live", "predict"])

    ids = [request.headers["X-Request-Id"] for request in recorder.requests]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", each) for each in ids)


def test_every_request_says_who_asks_and_in_which_language() -> None:
    recorder = Recorder()

    with client_of(recorder, language="zh") as client:
        for method in METHODS:
            drive(client, method)

    assert {r.headers["Authorization"] for r in recorder.requests} == {f"Bearer {KEY}"}
    assert {r.headers["Accept-Language"] for r in recorder.requests} == {"zh"}
    assert all(r.headers["User-Agent"].startswith("tunery-python/") for r in recorder.requests)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b", b"/deployments/a%2Fb"),
        ("é", b"/deployments/%C3%A9"),
        ("?x", b"/deployments/%3Fx"),
        ("#x", b"/deployments/%23x"),
        ("a b", b"/deployments/a%20b"),
        ("%2e%2e", b"/deployments/%252e%252e"),
        ("../keys", b"/deployments/..%2Fkeys"),
        ("a;b", b"/deployments/a%3Bb"),
        ("\x00", b"/deployments/%00"),
        ("名字", b"/deployments/%E5%90%8D%E5%AD%97"),
    ],
)
def test_an_odd_name_stays_one_part_of_the_path(name: str, path: bytes) -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        client.deployments.get(name)

    assert [request.url.raw_path for request in recorder.requests] == [path]


@pytest.mark.parametrize("name", ["..", ".", ""])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client, name: client.deployments.delete(name),
        lambda client, name: client.datasets.delete(name),
        lambda client, name: client.files.get(name),
        lambda client, name: client.jobs.cancel(name),
        lambda client, name: client.models.version(f"{name}/3"),
    ],
)
def test_a_name_that_would_be_another_path_is_never_sent(
    name: str, ask: Callable[[Client, str], Any]
) -> None:
    script = Script(httpx.Response(200, json={}))

    with client_of(script, max_retries=0) as client, pytest.raises(ValueError, match="name"):
        ask(client, name)

    assert script.requests == []


def test_a_version_is_sent_as_name_and_number() -> None:
    recorder = recorded(["models.version"])

    assert [r.url.raw_path for r in recorder.requests] == [b"/models/intent/versions/3"]


def test_a_url_with_a_path_is_the_beginning_of_every_path() -> None:
    script = Script(httpx.Response(200, json=LIVE))
    transport = httpx.MockTransport(script)

    with Client("http://proxy.test/tunery/", api_key=KEY, transport=transport) as client:
        client.live()

    assert [str(request.url) for request in script.requests] == [
        "http://proxy.test/tunery/health/live"
    ]


def test_filters_and_pages_are_the_query() -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        list(client.jobs.list(status="running", kind="finetune", dataset="ds_1", after="job_9"))

    assert dict(recorder.requests[0].url.params) == {
        "limit": "100",
        "after": "job_9",
        "status": "running",
        "kind": "finetune",
        "dataset": "ds_1",
    }


def test_pages_are_fetched_as_they_are_needed_and_only_then() -> None:
    first = page({**JOB, "id": "job_3"}, {**JOB, "id": "job_2"}, last_id="job_2", has_more=True)
    last = page({**JOB, "id": "job_1"}, last_id="job_1")
    script = Script(httpx.Response(200, json=first), httpx.Response(200, json=last))

    with client_of(script) as client:
        jobs = iter(client.jobs.list())
        assert script.requests == []
        assert [next(jobs).id, next(jobs).id] == ["job_3", "job_2"]
        assert len(script.requests) == 1
        assert [job.id for job in jobs] == ["job_1"]

    assert [r.url.params.get("after") for r in script.requests] == [None, "job_2"]


def test_pages_can_be_iterated_twice() -> None:
    with client_of(Recorder()) as client:
        models = client.models.list()
        assert [each.name for each in models] == ["intent"]
        assert [each.name for each in models] == ["intent"]


def test_a_prediction_tells_the_service_its_deadline() -> None:
    recorder = Recorder()

    with client_of(recorder, timeout=7.0) as client:
        client.predict("intent", "hi")
        client.with_options(timeout=0).predict("intent", "hi")

    deadlines = [int(r.headers["X-Request-Timeout-Ms"]) for r in recorder.requests]
    assert 6000 < deadlines[0] <= 7000
    assert 6000 < deadlines[1] <= 600_000


def test_a_deploy_sends_nothing_that_was_not_asked_for() -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        client.deployments.deploy("intent", "intent/3", replicas=2, wait=False)

    assert json.loads(recorder.requests[0].content) == {
        "version": "intent/3",
        "checkpoint": None,
        "replicas": 2,
        "runtime": "auto",
        "precision": "fp32",
        "strategy": "swap",
        "allow_label_change": False,
        "pinned": False,
        "gate": None,
    }


def test_a_transform_may_be_given_by_its_name() -> None:
    recorder = Recorder()
    relabel = Transform(op="relabel", labels={"awful": "bad"})

    with client_of(recorder) as client:
        made = client.datasets.transform("ds_1", ["strip_html", relabel], wait=False)

    assert json.loads(recorder.requests[0].content) == {
        "transforms": [
            {"op": "strip_html", "labels": {}, "rows": []},
            {"op": "relabel", "labels": {"awful": "bad"}, "rows": []},
        ],
        "policies": None,
    }
    assert (made.id, made.version, made.parent) == ("ds_2", 2, "ds_1")
    assert [step.op for step in made.transforms] == ["relabel", "strip_html"]


def test_label_issues_become_a_transform_that_gives_rows_their_suggested_labels() -> None:
    recorder = Recorder()
    own = RowLabel(split="test", line=9, label="refund")

    with client_of(recorder) as client:
        issues = list(client.datasets.label_issues("ds_1"))
        client.datasets.relabel("ds_1", [*issues, own], wait=False)

    assert json.loads(recorder.requests[1].content)["transforms"] == [
        {
            "op": "relabel",
            "labels": {},
            "rows": [
                {"line": 7, "label": "lost_or_stolen_card", "split": "train"},
                {"line": 9, "label": "refund", "split": "test"},
            ],
        }
    ]


def test_more_rows_than_a_transform_takes_become_several() -> None:
    recorder = Recorder()
    rows = [RowLabel(line=i, label="a") for i in range(1, 10_002)]

    with client_of(recorder) as client:
        client.datasets.relabel("ds_1", rows, wait=False)

    sent = json.loads(recorder.requests[0].content)["transforms"]
    assert [len(each["rows"]) for each in sent] == [10_000, 1]


def test_no_rows_are_not_sent_to_be_relabelled() -> None:
    with client_of(Recorder()) as client, pytest.raises(InvalidArgument, match="no rows"):
        client.datasets.relabel("ds_1", [])


def test_a_fine_tune_sends_what_follows_it() -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        client.finetune("ds_1", model="intent", deploy="live", evaluate=False, metadata={"a": "b"})

    sent = json.loads(recorder.requests[0].content)
    deploy = {"name": "live", "allow_label_change": False, "gate": None}
    assert sent["then"] == {"evaluate": False, "deploy": deploy}
    assert (sent["dataset"], sent["model"], sent["metadata"]) == ("ds_1", "intent", {"a": "b"})


def test_tune_does_the_whole_job_and_returns_all_of_it(tmp_path: Path) -> None:
    recorder = Recorder()
    path = tmp_path / "reviews.csv"
    path.write_bytes(CSV)

    with client_of(recorder) as client:
        tuned = client.tune(path, model="intent", deploy="intent")

    assert [operation_of(request) for request in recorder.requests] == [
        "POST /files",
        "POST /datasets",
        "GET /datasets/{dataset_id}",
        "POST /finetune",
        "GET /jobs/{job_id}",
        "GET /jobs/{job_id}",
        "GET /evaluations/{evaluation_id}",
        "GET /deployments/{name}",
    ]
    assert (tuned.version, tuned.evaluation.id, tuned.dataset.id) == ("intent/3", "eval_1", "ds_1")
    assert tuned.deployment is not None
    assert tuned.deployment.name == "intent"


def test_a_gate_goes_with_what_is_deployed() -> None:
    recorder = Recorder()
    gate = Gate(minimum={"macro_f1": 0.9}, no_label_loss=False)

    with client_of(recorder) as client:
        client.deployments.deploy("intent", "intent/3", gate=gate, wait=False)
        client.finetune("ds_1", model="intent", deploy="live", gate=gate)
        with pytest.raises(InvalidArgument, match="pass deploy, too"):
            client.finetune("ds_1", model="intent", gate=gate)

    put, started = (json.loads(request.content) for request in recorder.requests)
    assert put["gate"]["minimum"] == {"macro_f1": 0.9}
    assert (put["gate"]["no_loss"], put["gate"]["no_label_loss"]) == (True, False)
    assert started["then"]["deploy"]["gate"] == put["gate"]


def test_checkpoints_are_compared_by_their_ids() -> None:
    recorder = Recorder()

    with client_of(recorder) as client:
        client.compare("intent/3", "ckpt_1", split="validation")

    [request] = recorder.requests
    assert dict(request.url.params) == {"a": "intent/3", "b": "ckpt_1", "split": "validation"}
