"""Reuse of test sets: which evaluations warn that their rows have been looked at often."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row
from tests.server.conftest import Api

from tunery.types import Lineage, Metric, Split
from tunery_server.db.queries import jobs
from tunery_server.supervisor.publish import Publisher
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import Evaluated


def evaluate(api: Api, dataset: str, split: Split, work: Path) -> dict[str, Any]:
    """Publish an evaluation, as its child would leave it, and return it."""
    job_id = api.add_job(
        "evaluate", spec={"version": "intent/1", "dataset": dataset, "split": split}
    )
    folder = work / job_id / "evaluation"
    folder.mkdir(parents=True)
    (folder / "rows.parquet").touch()
    manifest_sha256, size_bytes = manifest.write(folder, {})
    made = Evaluated(
        path="evaluation",
        manifest_sha256=manifest_sha256,
        size_bytes=size_bytes,
        rows=2,
        runtime="torch",
        precision="fp32",
        metrics={"accuracy": Metric(value=0.5)},
        per_class=[],
        confusion=None,
        primary_metric="accuracy",
        baselines={},
        tfidf_rows=0,
        findings=[],
        slices=[],
        fit=None,
        calibration=None,
        abstention=None,
        latency=None,
        lineage=Lineage(datasets=[], lost=[], compared=0, overlap=0, without={}),
    )

    async def claim() -> Row[Any] | None:
        async with api.services.database.write() as connection:
            return await jobs.claim(connection, ["evaluate"])

    job = api.run(claim())
    assert job is not None
    publisher = Publisher(api.services.database, api.services.artifacts)
    api.run(publisher.evaluation(job, made, work / job_id))
    result = api.get(f"/jobs/{job_id}").json()["result"]
    found: dict[str, Any] = api.get(f"/evaluations/{result['evaluation']}").json()
    return found


def warnings_of(api: Api, job: str) -> list[str]:
    events = api.get(f"/jobs/{job}/events").json()["data"]
    return [event["data"]["code"] for event in events if event["type"] == "warning"]


def test_the_sixth_look_at_a_test_split_warns_and_the_fifth_does_not(
    api: Api, tmp_path: Path
) -> None:
    dataset = api.add_dataset()

    looks = [evaluate(api, dataset, "test", tmp_path) for _ in range(6)]

    assert [each["test_set_uses"] for each in looks] == [1, 2, 3, 4, 5, 6]
    assert [[found["type"] for found in each["findings"]] for each in looks] == [
        *[[]] * 5,
        ["reused-test-set"],
    ]
    assert looks[5]["findings"][0]["numbers"] == {"uses": 6}
    assert [warnings_of(api, each["job"]) for each in looks] == [*[[]] * 5, ["reused-test-set"]]


@pytest.mark.parametrize(("split", "fresh"), [("validation", False), ("test", True)])
def test_looks_at_other_rows_do_not_warn(
    api: Api, tmp_path: Path, split: Split, fresh: bool
) -> None:
    dataset = api.add_dataset()
    for _ in range(5):
        evaluate(api, dataset, split, tmp_path)

    last = evaluate(api, api.add_dataset() if fresh else dataset, split, tmp_path)

    assert (last["findings"], warnings_of(api, last["job"])) == ([], [])
