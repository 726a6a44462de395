"""Label issues: what is queued, what is refused, and the newest list through the real reader."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Row
from tests.server.conftest import Api
from tests.server.test_routes_rows import with_reader

from tunery.types import ColumnsUsed
from tunery_server.base_models import BaseModels
from tunery_server.db.queries import jobs, label_issues
from tunery_server.supervisor.publish import Publisher
from tunery_server.supervisor.specs import SpecWriter
from tunery_trainer.label_issues import stored_issues
from tunery_trainer.label_issues.confident import Doubts
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import LABEL_ISSUES, LabelIssuesFound
from tunery_trainer.protocol.specs import LabelIssuesRun

TINY = {"base_model": "tiny"}


def asked_for(api: Api, dataset: str, **spec: Any) -> dict[str, Any]:
    """Queue a search, and return its job."""
    answer = api.post(f"/datasets/{dataset}/label-issues", TINY | spec)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/jobs/{answer.json()['id']}"
    job: dict[str, Any] = answer.json()
    return job


def claimed(api: Api) -> Row[Any]:
    """Claim the search that waits."""

    async def body() -> Row[Any]:
        async with api.services.database.write() as connection:
            job = await jobs.claim(connection, [label_issues.KIND])
            assert job is not None
            return job

    return api.run(body())


def published(api: Api, work: Path, *lines: int) -> str:
    """Let the search that waits find these lines of train, and line 2 of test; return its id."""
    job = claimed(api)
    folder = work / "label-issues"
    folder.mkdir(parents=True)
    count = len(lines) + 1
    rows = pa.table(
        {
            "line": [*lines, 2],
            "text": [f"text {line}" for line in (*lines, 2)],
            "label": ["a"] * count,
            "split": ["train"] * len(lines) + ["test"],
        }
    )
    places = np.arange(count)
    doubts = Doubts(places, np.ones(count, np.int64), places / 100, places / 100 - 0.5)
    stored_issues.write(folder / LABEL_ISSUES, rows, doubts, ["a", "b"])
    sha256, size_bytes = manifest.write(folder, {})
    made = LabelIssuesFound(
        path="label-issues", manifest_sha256=sha256, size_bytes=size_bytes, rows=9, issues=count
    )
    publisher = Publisher(api.services.database, api.services.artifacts)
    api.run(publisher.label_issues(job, made, work))
    shutil.rmtree(work)
    return str(job.id)


def stored(api: Api) -> list[str]:
    return sorted(path.name for path in api.services.artifacts.readable("label-issues").iterdir())


def test_a_search_is_a_job_that_says_what_was_asked_for(api: Api) -> None:
    dataset = api.add_dataset()

    job = asked_for(api, dataset, splits=["train"], folds=3)

    assert (job["kind"], job["status"]) == ("label-issues", "queued")
    expected = {"dataset": dataset, "splits": ["train"], "folds": 3, "seed": 42}
    assert job["spec"] == TINY | expected
    listed = api.get(f"/jobs?kind=label-issues&dataset={dataset}").json()["data"]
    assert [each["id"] for each in listed] == [job["id"]]


@pytest.mark.parametrize("split", [None, "test"])
def test_the_list_is_the_newest_jobs(api: Api, tmp_path: Path, split: str | None) -> None:
    dataset = api.add_dataset()
    for lines in ((5, 6), (7, 8)):
        asked_for(api, dataset)
        job = published(api, tmp_path / "work", *lines)
    query = "" if split is None else f"&split={split}"

    path = f"/datasets/{dataset}/label-issues?limit=1{query}"
    first = with_reader(api, api.send("GET", path)).json()

    assert first == {
        "data": [
            {
                "split": split or "train",
                "line": 2 if split else 7,
                "text": "text 2" if split else "text 7",
                "label": "a",
                "suggested_label": "b",
                "quality": 0.02 if split else 0.0,
                "margin": -0.48 if split else -0.5,
                "text_pair": None,
            }
        ],
        "has_more": split is None,
        "last_id": "1",
        "total": 1 if split else 3,
        "job": job,
    }
    second = with_reader(api, api.send("GET", f"{path}&after=1")).json()
    assert [each["line"] for each in second["data"]] == ([] if split else [8])


def test_a_finished_job_tells_how_many_there_are(api: Api, tmp_path: Path) -> None:
    dataset = api.add_dataset()
    asked_for(api, dataset)

    job = published(api, tmp_path / "work", 5)

    result = api.get(f"/jobs/{job}").json()["result"]
    assert (result["dataset"], result["label_issues"]) == (dataset, 2)


def test_lists_go_with_their_dataset(api: Api, tmp_path: Path) -> None:
    kept, dataset = api.add_dataset(), api.add_dataset()
    for of in (kept, dataset, dataset):
        asked_for(api, of)
        published(api, tmp_path / "work", 5)
    assert len(stored(api)) == 3

    assert api.delete(f"/datasets/{dataset}").status_code == 204

    async def named() -> set[str]:
        async with api.services.database.read() as connection:
            return await label_issues.artifacts(connection)

    assert {f"label-issues/{name}" for name in stored(api)} == api.run(named())
    assert len(stored(api)) == 1


def test_a_dataset_is_in_use_while_it_is_searched(api: Api) -> None:
    dataset = api.add_dataset()
    asked_for(api, dataset)

    answer = api.delete(f"/datasets/{dataset}")

    assert (answer.status_code, answer.json()["code"]) == (409, "dataset-in-use")


def test_what_a_cancelled_job_found_is_not_kept(api: Api, tmp_path: Path) -> None:
    dataset = api.add_dataset()
    asked_for(api, dataset)
    job = claimed(api)

    async def cancelling() -> bool:
        async with api.services.database.write() as connection:
            return await jobs.move(connection, job.id, "cancelling", attempt=job.attempt)

    assert api.run(cancelling())
    folder = tmp_path / "work" / "label-issues"
    folder.mkdir(parents=True)
    (folder / LABEL_ISSUES).write_bytes(b"")
    sha256, size_bytes = manifest.write(folder, {})
    made = LabelIssuesFound(
        path="label-issues", manifest_sha256=sha256, size_bytes=size_bytes, rows=1, issues=0
    )
    publisher = Publisher(api.services.database, api.services.artifacts)
    api.run(publisher.label_issues(job, made, tmp_path / "work"))

    assert stored(api) == []
    assert api.get(f"/jobs/{job.id}").json()["status"] == "cancelled"
    answer = api.get(f"/datasets/{dataset}/label-issues")
    assert (answer.status_code, answer.json()["code"]) == (404, "label-issues-not-found")


@pytest.mark.parametrize(
    ("fields", "spec", "status", "code"),
    [
        ({"status": "validating"}, {}, 409, "dataset-not-ready"),
        ({"splits": {"train": 4, "validation": 0, "test": 2}}, {"splits": ["validation"]}, 422,
         "invalid-split"),
        ({}, {"base_model": "unknown"}, 422, "unknown-base-model"),
        ({}, {"folds": 1}, 422, "out-of-range"),
        ({}, {"splits": []}, 422, "out-of-range"),
        ({}, {"splits": ["dev"]}, 422, "schema-violation"),
        ({}, {"fold": 5}, 422, "unknown-field"),
    ],
)  # fmt: skip
def test_what_can_not_be_searched_is_refused(
    api: Api, fields: dict[str, Any], spec: dict[str, Any], status: int, code: str
) -> None:
    dataset = api.add_dataset(**fields)

    answer = api.post(f"/datasets/{dataset}/label-issues", TINY | spec)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_rows_of_other_tasks_are_refused(api: Api, task: str) -> None:
    dataset = api.add_dataset(task=task)

    answer = api.post(f"/datasets/{dataset}/label-issues", TINY)

    assert (answer.status_code, answer.json()["code"]) == (422, "task-mismatch")


def test_a_version_is_no_judge_of_labels_that_it_has_learned(api: Api) -> None:
    dataset, version = api.add_dataset(), api.add_version(artifact="versions/intent")
    tiny = api.services.base_models.directories()["tiny"]
    shutil.copytree(tiny, api.services.artifacts.readable("versions") / "intent")

    answer = api.post(f"/datasets/{dataset}/label-issues", {"base_model": version})

    assert (answer.status_code, answer.json()["code"]) == (422, "schema-violation")
    assert answer.json()["errors"][0]["pointer"] == "/base_model"


def test_nothing_is_listed_before_a_job_has_succeeded(api: Api) -> None:
    dataset = api.add_dataset()
    asked_for(api, dataset)

    answer = api.get(f"/datasets/{dataset}/label-issues")

    assert (answer.status_code, answer.json()["code"]) == (404, "label-issues-not-found")


def test_other_projects_datasets_are_neither_searched_nor_listed(api: Api, tmp_path: Path) -> None:
    dataset = api.add_dataset()
    asked_for(api, dataset)
    published(api, tmp_path / "work", 5)
    stranger = api.headers("admin", project="other")

    searched = api.post(f"/datasets/{dataset}/label-issues", TINY, headers=dict(stranger))
    listed = api.get(f"/datasets/{dataset}/label-issues", headers=stranger)

    assert [searched.json()["code"], listed.json()["code"]] == ["dataset-not-found"] * 2


@pytest.mark.parametrize("base_model", ["tiny", "scratch-mini"])
def test_the_spec_names_the_splits_that_were_asked_for_and_no_other(
    api: Api, tmp_path: Path, base_model: str
) -> None:
    columns = ColumnsUsed(text="text", label="label", inferred=False)
    dataset = api.add_dataset(artifact="datasets/x", columns=columns)
    asked_for(api, dataset, base_model=base_model, splits=["test", "train"], seed=7)
    job = claimed(api)
    services = api.services
    writer = SpecWriter(
        services.settings,
        services.artifacts,
        BaseModels(services.settings.base_models, services.settings.hub_cache),
    )

    async def body() -> LabelIssuesRun:
        async with services.database.read() as connection:
            return await writer.label_issues(connection, job, tmp_path, threads=2)

    spec = api.run(body())

    folder = services.artifacts.readable("datasets") / "x"
    assert list(spec.rows.items()) == [
        ("train", str(folder / "train.parquet")),
        ("test", str(folder / "test.parquet")),
    ]
    tiny = services.base_models.directories()["tiny"]
    assert spec.base_model_dir == (tiny if base_model == "tiny" else None)
    assert (spec.labels, spec.folds, spec.seed, spec.threads) == (["a", "b"], 5, 7, 2)
