"""Fine-tunes, evaluations, jobs, deployments, health."""

import asyncio
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.server.conftest import Api

from tunery.types import DeploymentSpec, JobStatus, Resolved
from tunery_server.db.queries import deployments, jobs
from tunery_server.routes import jobs as job_routes

T = TypeVar("T")


async def in_time(asking: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(20):
        return await asking


@pytest.fixture
def hasty_api(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A service that does not wait for the supervisor, which there is none of."""
    monkeypatch.setattr(job_routes, "ACTION_SECONDS", 0.0)
    return api


def settle(api: Api, job_id: str, *statuses: JobStatus) -> None:
    """Do what the supervisor would."""

    async def body() -> None:
        for status in statuses:
            async with api.services.database.write() as connection:
                attempt = (await jobs.row_of(connection, job_id)).attempt
                assert await jobs.move(connection, job_id, status, attempt=attempt)

    api.run(body())


def wish(api: Api, job_id: str, desired: str | None = None) -> str:
    """Return what is desired of a job, after writing it where it is given."""

    async def body() -> str:
        async with api.services.database.write() as connection:
            if desired is not None:
                await jobs.desire(connection, "default", job_id, desired)
            return str((await jobs.row_of(connection, job_id)).desired)

    return api.run(body())


def has_served(api: Api, name: str, generation: int, version: str) -> None:
    async def body() -> None:
        async with api.services.database.write() as connection:
            spec = DeploymentSpec(version=version)
            await deployments.append_history(
                connection, "default", name, generation=generation, spec=spec, outcome="ready"
            )

    api.run(body())


def finetune(api: Api, dataset: str, **fields: Any) -> Any:
    return api.post("/finetune", {"dataset": dataset, "model": "m", "base_model": "tiny", **fields})


def test_finetune_is_queued_with_its_spec(api: Api) -> None:
    answer = finetune(api, api.add_dataset(), hyperparameters={"epochs": 2})

    job = answer.json()
    assert (answer.status_code, job["kind"], job["status"]) == (202, "finetune", "queued")
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert job["spec"]["hyperparameters"]["epochs"] == 2
    assert api.get("/jobs?kind=finetune&status=queued").json()["data"][0]["id"] == job["id"]


@pytest.mark.parametrize("status", ["validating", "rejected"])
def test_finetune_needs_a_ready_dataset(api: Api, status: str) -> None:
    answer = finetune(api, api.add_dataset(status))

    assert (answer.status_code, answer.json()["code"]) == (409, "dataset-not-ready")
    assert status in answer.json()["detail"]
    assert "see its report" in answer.json()["hint"]


def test_batch_beyond_the_training_split_is_refused(api: Api) -> None:
    answer = finetune(api, api.add_dataset(train=10), hyperparameters={"batch_size": 11})

    assert (answer.status_code, answer.json()["code"]) == (422, "batch-exceeds-dataset")
    assert answer.json()["errors"][0]["pointer"] == "/hyperparameters/batch_size"


@pytest.mark.parametrize(
    ("wanted", "validation", "fields", "code"),
    [
        ({"by": "precision", "precision": 0.9}, 21, {}, "too-few-validation-rows"),
        ({"by": "coverage", "coverage": 0.5}, 0, {}, "too-few-validation-rows"),
        (
            {"by": "coverage", "coverage": 0.5},
            99,
            {"hyperparameters": {"train_on_validation": True}},
            "schema-violation",
        ),
    ],
)
def test_abstaining_that_no_row_could_show_is_refused(
    api: Api, wanted: dict[str, Any], validation: int, fields: dict[str, Any], code: str
) -> None:
    dataset = api.add_dataset(splits={"train": 100, "validation": validation, "test": 1})

    answer = finetune(api, dataset, abstain=wanted, **fields)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == "/abstain"


def test_abstaining_is_queued_with_its_spec(api: Api) -> None:
    dataset = api.add_dataset(splits={"train": 100, "validation": 22, "test": 1})

    answer = finetune(api, dataset, abstain={"by": "precision", "precision": 0.9})

    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["abstain"] == {"by": "precision", "precision": 0.9}


@pytest.mark.parametrize(
    "wanted",
    [
        {"precision": 0.9},
        {"by": "precision", "precision": 1.0},
        {"by": "coverage", "coverage": 0},
        {"by": "cost", "cost_of_error": -1},
        {"by": "mood", "precision": 0.9},
    ],
)
def test_abstaining_out_of_bounds_is_refused(api: Api, wanted: dict[str, Any]) -> None:
    answer = finetune(api, api.add_dataset(), abstain=wanted)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/abstain")


def test_scratch_mini_is_listed_and_implies_its_recipe(api: Api) -> None:
    listed = {each["id"]: each["available"] for each in api.get("/base-models").json()["data"]}
    answers = [
        finetune(api, api.add_dataset(), base_model="scratch-mini", **fields)
        for fields in ({}, {"recipe": "scratch"})
    ]

    assert listed["scratch-mini"]
    assert [answer.status_code for answer in answers] == [202, 202]


@pytest.mark.parametrize(
    ("fields", "pointer", "why"),
    [
        ({"primary_metric": "auc"}, "/primary_metric", "text_classification has no auc"),
        ({"primary_metric": "recall@nobody"}, "/primary_metric", "'nobody' is none of the"),
        (
            {"hyperparameters": {"early_stopping": {"metric": "mae"}}},
            "/hyperparameters/early_stopping/metric",
            "text_classification has no mae",
        ),
    ],
)
def test_a_metric_that_the_task_has_not_is_refused(
    api: Api, fields: dict[str, Any], pointer: str, why: str
) -> None:
    answer = finetune(api, api.add_dataset(), **fields)

    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-metric")
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert error["message"].startswith(why)


def test_a_figure_of_a_label_may_judge(api: Api) -> None:
    answer = finetune(api, api.add_dataset(), primary_metric="recall@a")

    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["primary_metric"] == "recall@a"


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"recipe": "scratch"}, "schema-violation", "/recipe"),
        ({"recipe": "best", "base_model": "scratch-mini"}, "schema-violation", "/recipe"),
        (
            {"base_model": "scratch-mini", "hyperparameters": {"refit": True}},
            "not-for-task",
            "/hyperparameters/refit",
        ),
        (
            {"base_model": "scratch-mini", "hyperparameters": {"max_length": 129}},
            "max-length-exceeds-model",
            "/hyperparameters/max_length",
        ),
    ],
)
def test_what_does_not_go_with_scratch_mini_is_refused(
    api: Api, fields: dict[str, Any], code: str, pointer: str
) -> None:
    answer = finetune(api, api.add_dataset(), **fields)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_scratch_mini_learns_no_numbers(api: Api) -> None:
    answer = finetune(api, api.add_dataset(task="regression"), base_model="scratch-mini")

    assert (answer.status_code, answer.json()["code"]) == (422, "task-mismatch")


def tiny_weights(api: Api) -> Path:
    return Path(api.services.base_models.directories()["tiny"]) / "model.safetensors"


def test_disk_beyond_its_budget_is_refused(api: Api) -> None:
    tiny_weights(api).write_bytes(bytes(10_000_000))

    # Four copies of the weights for each of 2 + 1 that are kept and 1 that is written; a version.
    answers = [
        finetune(api, api.add_dataset(), resources={"max_disk_gb": budget})
        for budget in (0.1799, 0.1801)
    ]

    assert [answer.status_code for answer in answers] == [422, 202]
    assert answers[0].json()["code"] == "disk-budget-exceeded"
    assert "0.18 GB" in answers[0].json()["detail"]


def test_a_disk_without_room_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=64 << 20))
    tiny_weights(api).write_bytes(b"1")

    answer = finetune(api, api.add_dataset())

    assert (answer.status_code, answer.json()["code"]) == (507, "insufficient-storage")


def test_fifty_first_waiting_job_is_refused(api: Api) -> None:
    dataset = api.add_dataset()
    for _ in range(50):
        api.add_job()

    answer = finetune(api, dataset)

    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-queued-jobs")
    assert int(answer.headers["retry-after"]) > 0


def test_evaluation_is_queued(api: Api) -> None:
    spec = {"version": api.add_version(), "dataset": api.add_dataset()}

    answer = api.post("/evaluate", spec)

    assert (answer.status_code, answer.json()["kind"]) == (202, "evaluate")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "schema-violation"),
        ({"version": "intent/1", "checkpoint": "ckpt_x"}, 422, "schema-violation"),
        ({"version": "intent/9"}, 404, "model-not-found"),
        ({"version": "../x"}, 404, "model-not-found"),
        ({"checkpoint": "x"}, 404, "checkpoint-not-found"),
        ({"version": "intent/1", "split": "train"}, 422, "split-not-held-out"),
        ({"version": "intent/1", "dataset": "x"}, 404, "dataset-not-found"),
    ],
)
def test_bad_evaluation_is_refused(
    api: Api, fields: dict[str, Any], status: int, code: str
) -> None:
    api.add_version()

    answer = api.post("/evaluate", {"dataset": api.add_dataset(), **fields})

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("name", "also", "fields", "status"),
    [
        ("train_on_validation", True, {"split": "validation"}, 422),
        ("train_on_validation", True, {"split": "validation", "allow_train": True}, 202),
        ("train_on_validation", True, {"split": "test"}, 202),
        ("train_on_validation", False, {"split": "validation"}, 202),
        ("refit", True, {"split": "validation"}, 422),
        ("refit", False, {"split": "validation"}, 202),
    ],
)
def test_validation_rows_that_were_trained_on_are_not_held_out(
    api: Api, name: str, also: bool, fields: dict[str, Any], status: int
) -> None:
    dataset = api.add_dataset()
    job = finetune(api, dataset).json()["id"]

    async def train() -> None:
        resolved = {name: Resolved(value=also, source="user")}
        async with api.services.database.write() as connection:
            row = await jobs.claim(connection, ["finetune"])
            assert row is not None
            await jobs.record(connection, job, attempt=row.attempt, resolved=resolved)

    api.run(train())

    answer = api.post(
        "/evaluate", {"checkpoint": api.add_checkpoint(job), "dataset": dataset, **fields}
    )

    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["code"] == "split-not-held-out"
        other = {"checkpoint": api.add_checkpoint(job), "dataset": api.add_dataset(), **fields}
        assert api.post("/evaluate", other).status_code == 202


def test_labels_that_the_model_lacks_are_named(api: Api) -> None:
    spec = {"version": api.add_version(), "dataset": api.add_dataset(labels=["a", "z"])}

    answer = api.post("/evaluate", spec)

    assert (answer.status_code, answer.json()["code"]) == (422, "label-mismatch")
    assert "'z'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("status", "action", "answer_status", "code"),
    [
        ("succeeded", "cancel", 200, None),
        ("queued", "pause", 409, "conflict"),
        ("succeeded", "pause", 409, "conflict"),
        ("paused", "pause", 202, None),
        ("running", "resume", 409, "job-not-resumable"),
        ("succeeded", "resume", 409, "job-not-resumable"),
    ],
)
def test_action_that_changes_nothing_is_answered_at_once(
    api: Api, status: str, action: str, answer_status: int, code: str | None
) -> None:
    job_id = api.add_job(status=status)

    answer = api.post(f"/jobs/{job_id}/{action}")

    assert answer.status_code == answer_status, answer.text
    assert answer.json().get("code") == code


def test_cancel_answers_when_the_supervisor_has_acted(api: Api) -> None:
    job_id = api.add_job(status="running")

    async def supervisor() -> None:
        while True:
            async with api.services.database.write() as connection:
                if await jobs.unsettled(connection):
                    await jobs.move(connection, job_id, "cancelling", attempt=1)
                    break
            await asyncio.sleep(0)
        api.services.news.tell(job_id)

    async def body() -> Any:
        acting = asyncio.create_task(supervisor())
        answer = await api.send("POST", f"/jobs/{job_id}/cancel")
        await acting
        return answer

    answer = api.run(body())

    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")


@pytest.mark.parametrize(
    ("status", "action", "later", "answer_status"),
    [
        ("paused", "resume", "queued", 202),
        ("running", "pause", "pausing", 202),
        ("queued", "cancel", "cancelled", 200),
    ],
)
def test_repeated_action_is_answered_with_the_job_as_it_is_and_not_done_again(
    hasty_api: Api, status: str, action: str, later: JobStatus, answer_status: int
) -> None:
    job_id = hasty_api.add_job(status=status)
    headers = {"Idempotency-Key": "k"}
    first = hasty_api.post(f"/jobs/{job_id}/{action}", headers=headers)
    settle(hasty_api, job_id, later)
    wished = wish(hasty_api, job_id, "something else")

    again = hasty_api.post(f"/jobs/{job_id}/{action}", headers=headers)

    assert (first.status_code, first.json()["status"]) == (202, status)
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.json()["status"]) == (answer_status, later)
    assert again.headers["idempotency-replayed"] == "true"
    assert wish(hasty_api, job_id) == wished


def test_action_that_was_refused_is_judged_anew_under_its_key(hasty_api: Api) -> None:
    job_id = hasty_api.add_job(status="running")
    headers = {"Idempotency-Key": "k"}

    refused = hasty_api.post(f"/jobs/{job_id}/resume", headers=headers)
    settle(hasty_api, job_id, "pausing", "paused")
    done = hasty_api.post(f"/jobs/{job_id}/resume", headers=headers)

    assert (refused.status_code, done.status_code) == (409, 202)
    assert "idempotency-replayed" not in done.headers


def test_key_of_one_action_is_no_key_of_another(api: Api) -> None:
    job_id = api.add_job(status="succeeded")
    headers = {"Idempotency-Key": "k"}
    api.post(f"/jobs/{job_id}/cancel", headers=headers)

    other = api.post(f"/jobs/{job_id}/pause", headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_waiting_get_answers_at_the_first_change(api: Api) -> None:
    job_id = api.add_job(status="running")
    etag = api.get(f"/jobs/{job_id}").headers["etag"]

    async def body() -> Any:
        headers = {"If-None-Match": etag}
        waiting = asyncio.create_task(api.send("GET", f"/jobs/{job_id}?wait=30", headers=headers))
        async with api.services.database.write() as connection:
            await jobs.move(connection, job_id, "succeeded", attempt=1)
        api.services.news.tell(job_id)
        return await waiting

    answer = api.run(body())

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert api.get(f"/jobs/{job_id}", headers={"If-None-Match": etag}).status_code == 200
    unchanged = api.get(f"/jobs/{job_id}", headers={"If-None-Match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_event_stream_replays_and_ends(api: Api) -> None:
    job_id = api.add_job(status="succeeded")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "1"}

    answer = api.get(f"/jobs/{job_id}/events", headers=headers)

    frames = answer.text.split("\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert frames[0] == "retry: 2000"
    assert [frame.splitlines()[:2] for frame in frames[1:3]] == [
        ["id: 2", "event: state"],
        ["id: 3", "event: end"],
    ]
    assert api.services.streams == 0


def test_event_stream_goes_on_after_its_whole_last_id(api: Api) -> None:
    job_id = api.add_job(status="succeeded")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "0000000000000002"}

    frames = api.get(f"/jobs/{job_id}/events", headers=headers).text.split("\n\n")

    assert [frame.splitlines()[0] for frame in frames if frame] == ["retry: 2000", "id: 3"]


@pytest.mark.parametrize("last_id", ["3", "4"])
def test_who_has_seen_the_end_is_told_not_to_come_again(api: Api, last_id: str) -> None:
    job_id = api.add_job(status="succeeded")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}

    answer = api.run(in_time(api.send("GET", f"/jobs/{job_id}/events", headers=headers)))

    assert (answer.status_code, answer.content) == (204, b"")


def test_events_are_listed_after_a_seq(api: Api) -> None:
    job_id = api.add_job(status="succeeded")

    page = api.get(f"/jobs/{job_id}/events?after=1&limit=1").json()

    assert [event["seq"] for event in page["data"]] == [2]
    assert (page["has_more"], page["last_seq"]) == (True, 2)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=-1", {}),
        ("?after=x", {}),
        ("", {"Accept": "text/event-stream", "Last-Event-ID": "x"}),
        ("", {"Accept": "text/event-stream", "Last-Event-ID": "-1"}),
        ("", {"Accept": "text/event-stream", "Last-Event-ID": "9" * 17}),
        ("", {"Accept": "text/event-stream", "Last-Event-ID": "0" * 17 + "2"}),
    ],
)
def test_bad_place_in_the_events_is_refused(api: Api, query: str, headers: dict[str, str]) -> None:
    answer = api.get(f"/jobs/{api.add_job()}/events{query}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-after"), answer.text


def test_too_many_streams_are_refused(api: Api) -> None:
    api.services.streams = 1000

    answer = api.get(f"/jobs/{api.add_job()}/events", headers={"Accept": "text/event-stream"})

    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-streams")


def test_logs_show_the_end_of_the_last_attempt(api: Api) -> None:
    job_id = api.add_job(status="running")
    folder = api.services.settings.log_dir / job_id
    folder.mkdir(parents=True)
    (folder / "attempt-1.log").write_bytes(b"one\ntwo\xff\nthree\n")

    log = api.get(f"/jobs/{job_id}/logs?tail=2").json()

    assert log == {"attempt": 1, "lines": ["two\ufffd", "three"]}
    assert api.get(f"/jobs/{api.add_job()}/logs").json() == {"attempt": 0, "lines": []}
    assert api.get(f"/jobs/{job_id}/metrics").json() == {"data": []}


def test_checkpoints_of_a_job_are_listed(api: Api) -> None:
    job_id = api.add_job()
    checkpoint = api.add_checkpoint(job_id)

    found = api.get(f"/jobs/{job_id}/checkpoints").json()["data"]

    assert [item["id"] for item in found] == [checkpoint]


def desired(version: str, generation: int) -> dict[str, Any]:
    return {"version": version, "checkpoint": None, "pinned": False, "generation": generation}


def test_deployment_is_asked_for_changed_rolled_back_and_removed(api: Api) -> None:
    first, second = api.add_version(), api.add_version()

    put = api.put("/deployments/intent", {"version": first})

    assert (put.status_code, put.json()["status"]) == (202, "loading")
    assert put.json()["desired"] == {
        "version": first,
        "checkpoint": None,
        "pinned": False,
        "generation": 1,
    }
    stale = {"If-Match": '"stale"'}
    assert api.put("/deployments/intent", {"version": second}, headers=stale).status_code == 412
    fresh = {"If-Match": put.headers["etag"]}
    again = api.put("/deployments/intent", {"version": second}, headers=fresh)
    assert again.json()["desired"]["generation"] == 2
    assert api.get("/deployments").json()["data"][0]["name"] == "intent"
    none = api.post("/deployments/intent/rollback")
    assert (none.status_code, none.json()["code"]) == (409, "no-earlier-version")
    assert api.delete("/deployments/intent").json()["desired"]["version"] is None


def test_rollback_that_is_sent_twice_is_done_once(api: Api) -> None:
    first, second = api.add_version(), api.add_version()
    for generation, version in enumerate((first, second), start=1):
        api.put("/deployments/intent", {"version": version})
        has_served(api, "intent", generation, version)
    headers = {"Idempotency-Key": "k"}
    done = api.post("/deployments/intent/rollback", headers=headers)
    has_served(api, "intent", 3, first)

    again = api.post("/deployments/intent/rollback", headers=headers)

    assert done.json()["desired"] == {
        "version": first,
        "checkpoint": None,
        "pinned": False,
        "generation": 3,
    }
    assert (again.status_code, again.content) == (202, done.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["etag"] == done.headers["etag"]
    assert api.get("/deployments/intent").json()["desired"]["generation"] == 3
    anew = api.post("/deployments/intent/rollback", headers={"Idempotency-Key": "another"})
    assert anew.json()["desired"] == {
        "version": second,
        "checkpoint": None,
        "pinned": False,
        "generation": 4,
    }


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("Intent", {"version": "intent/1"}, 422, "invalid-name"),
        ("x", {}, 422, "schema-violation"),
        ("x", {"version": "nobody/1"}, 404, "model-not-found"),
        ("x", {"checkpoint": "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"}, 404, "checkpoint-not-found"),
        ("x", {"version": "intent/1", "replicas": 0}, 422, "out-of-range"),
        ("x", {"version": "intent/1", "weights": 1}, 422, "unknown-field"),
    ],
)
def test_bad_deployment_is_refused(
    calm_api: Api, name: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = calm_api.put(f"/deployments/{name}", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_models_are_listed_with_their_newest_version(api: Api) -> None:
    api.add_version()
    version = api.add_version()

    assert api.get("/models").json()["data"][0]["versions"] == 2
    assert api.get("/models/intent").json()["latest"]["version"] == version
    assert api.get("/models/intent/versions/1").json()["number"] == 1


def test_ready_waits_for_the_first_deployments_only(api: Api) -> None:
    api.add_deployment("intent", "loading")

    starting = api.get("/health/ready")
    api.add_deployment("intent", "ready")
    ready = api.get("/health/ready")
    api.add_deployment("other", "loading")
    later = api.get("/health/ready")
    api.services.drain.begin()
    draining = api.get("/health/ready")

    assert (starting.status_code, starting.json()["code"]) == (503, "server-starting")
    assert "retry-after" in starting.headers
    assert ready.json() == {"status": "ready", "deployments": {"intent": "ready"}}
    assert later.status_code == 200
    assert (draining.status_code, draining.json()["code"]) == (503, "draining")
