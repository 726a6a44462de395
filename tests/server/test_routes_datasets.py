"""Datasets: what is refused when it is registered, and reports of what is being deleted."""

from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Api

from tunery_server.artifacts import Artifacts


class Deleting(Artifacts):
    """Artifacts of a dataset that somebody deletes while its report is looked for."""

    api: Api
    dataset_id: str

    async def fetch(self, key: str) -> Path:
        path = await super().fetch(key)
        answer = await self.api.send("DELETE", f"/datasets/{self.dataset_id}")
        assert answer.status_code == 204
        return path


def with_report(api: Api) -> str:
    """Return a dataset whose report is there."""
    folder = api.services.artifacts.readable("datasets") / "data_1"
    folder.mkdir()
    for name in ("report.json", "findings.ndjson"):
        (folder / name).write_text("{}\n")
    return api.add_dataset(artifact="datasets/data_1")


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_the_report_of_a_dataset_that_is_deleted_meanwhile_is_not_found(
    api: Api, accept: str
) -> None:
    settings = api.services.settings
    dataset_id = with_report(api)
    artifacts = Deleting(settings.artifacts, settings.root)
    artifacts.api, artifacts.dataset_id = api, dataset_id
    api.services.artifacts = artifacts

    answer = api.get(f"/datasets/{dataset_id}/report", headers={"Accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (404, "dataset-not-found")


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_report_whose_file_is_lost_is_a_fault_of_ours(api: Api, accept: str) -> None:
    dataset_id = api.add_dataset(artifact="datasets/data_1")

    answer = api.get(f"/datasets/{dataset_id}/report", headers={"Accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")


FILES = {"train": "file_1", "test": "file_2"}


@pytest.mark.parametrize("name", ["time_column", "column"])
def test_a_column_that_splits_is_refused_beside_a_file_per_split(calm_api: Api, name: str) -> None:
    spec = {"name": "bank", "files": FILES, "split": {name: "day"}}

    answer = calm_api.post("/datasets", spec)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-split")
    assert problem["detail"] == (
        f"{name} splits a single file; with one file per split, leave it out"
    )


def test_groups_are_kept_together_beside_a_file_per_split(calm_api: Api) -> None:
    spec = {"name": "bank", "files": FILES, "split": {"group_by": "customer"}}

    answer = calm_api.post("/datasets", spec)

    assert answer.json()["detail"] == "there is no file 'file_1'"  # only that is wrong


def test_one_column_is_not_text_and_label(calm_api: Api) -> None:
    spec: dict[str, Any] = {"name": "bank", "file": "file_1"}
    spec["columns"] = {"text": "text", "label": "text"}

    answer = calm_api.post("/datasets", spec)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "schema-violation")
    assert [each["pointer"] for each in problem["errors"]] == ["/columns"]
