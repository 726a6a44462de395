"""Specs of evaluations: what a model has learned from, as far as it is still there."""

from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Api

from tunery.types import Resolved
from tunery_server.base_models import BaseModels
from tunery_server.db.columns import now
from tunery_server.db.queries import jobs, models
from tunery_server.supervisor.specs import SpecWriter
from tunery_trainer.protocol.specs import EvaluateRun


def add_version(
    api: Api, model: str, dataset: str, base_model: str = "tiny", *, refit: bool = False
) -> str:
    """Store a version and the fine-tune that has made it of a dataset."""
    resolved = {"refit": Resolved(value=refit, source="default")}
    job = api.add_job(spec={"dataset": dataset, "base_model": base_model})

    async def body() -> str:
        async with api.services.database.write() as connection:
            row = await jobs.claim(connection, ["finetune"])
            assert row is not None
            values = {"step": 0, "accuracy": 0.25, "majority_accuracy": 0.5}
            later = {"step": 1, "loss": 1.0}
            events: Any = [("metric", later), ("metric", values)]
            await jobs.record(
                connection, job, attempt=row.attempt, events=events, resolved=resolved
            )
            version = await models.register(
                connection,
                project="default",
                model=model,
                task="text_classification",
                labels=["a", "b"],
                base_model=base_model,
                dataset=dataset,
                dataset_fingerprint="sha256:0",
                job=job,
                bytes=1,
                artifact=f"versions/{model}",
                manifest_sha256="0" * 64,
                seal="none",
                created_at=now(),
            )
            return version.version

    return api.run(body())


def spec_of(api: Api, version: str, dataset: str, work: Path) -> EvaluateRun:
    """Return the spec of an evaluation that the API has queued."""
    answer = api.post("/evaluate", {"version": version, "dataset": dataset})
    assert answer.status_code == 202, answer.text
    services = api.services
    settings = services.settings
    writer = SpecWriter(
        settings, services.artifacts, BaseModels(settings.base_models, settings.hub_cache)
    )

    async def body() -> EvaluateRun:
        async with services.database.read() as connection:
            job = await jobs.row_of(connection, answer.json()["id"])
            return await writer.evaluate(connection, job, work, threads=1)

    return api.run(body())


@pytest.fixture
def ancestry(api: Api) -> tuple[str, str, str]:
    """Return two datasets, and the version that has learned from both."""
    first = api.add_dataset(artifact="datasets/first")
    second = api.add_dataset(artifact="datasets/second")
    add_version(api, "old", first)
    return first, second, add_version(api, "new", second, base_model="old/1")


def test_an_evaluation_names_every_row_that_the_weights_have_seen(
    api: Api, ancestry: tuple[str, str, str], tmp_path: Path
) -> None:
    first, second, version = ancestry

    spec = spec_of(api, version, first, tmp_path)

    folder = api.services.artifacts.readable("datasets")
    assert spec.lineage == {
        second: [str(folder / "second/train.parquet"), str(folder / "second/validation.parquet")],
        first: [str(folder / "first/train.parquet"), str(folder / "first/validation.parquet")],
    }
    assert (spec.train, spec.validation) == tuple(spec.lineage[second])
    assert spec.report == str(folder / "first/report.json")
    assert spec.lost == []
    assert spec.untrained == {"accuracy": 0.25, "majority_accuracy": 0.5}


def test_a_dataset_that_was_deleted_is_lost(
    api: Api, ancestry: tuple[str, str, str], tmp_path: Path
) -> None:
    first, second, version = ancestry
    assert api.delete(f"/datasets/{first}").status_code == 204

    spec = spec_of(api, version, second, tmp_path)

    assert (list(spec.lineage), spec.lost) == ([second], [first])


def test_validation_rows_that_weights_were_fitted_to_are_no_validation(
    api: Api, tmp_path: Path
) -> None:
    dataset = api.add_dataset(artifact="datasets/only")
    version = add_version(api, "refitted", dataset, refit=True)

    spec = spec_of(api, version, dataset, tmp_path)

    assert spec.train is not None
    assert spec.validation is None
    assert len(spec.lineage[dataset]) == 2
