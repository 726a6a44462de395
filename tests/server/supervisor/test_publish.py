"""Publication: what a child says is checked, and what no row names does not stay."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.server.conftest import Api
from tests.server.supervisor.ingests import claimed, made, registered

from tunery_server.db.engine import Database
from tunery_server.supervisor.publish import Publisher
from tunery_trainer.protocol.manifest import ArtifactCorrupt


class FailingDatabase(Database):
    """Fails at the end of each transaction: before its commit, or when it is committed."""

    def __init__(self, url: str, *, committed: bool) -> None:
        super().__init__(url)
        self._committed = committed

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        async with super().write() as connection:
            yield connection
            if not self._committed:
                raise OSError("it is not committed")
        raise OSError("it is committed")


def stored(api: Api) -> list[str]:
    return [path.name for path in api.services.artifacts.readable("datasets").iterdir()]


def publish_and_fail(api: Api, directory: Path, *, committed: bool) -> None:
    job = claimed(api)
    ingested = made(directory / "work" / "dataset")
    database = FailingDatabase(api.services.settings.database, committed=committed)
    try:
        publisher = Publisher(database, api.services.artifacts)
        api.run(publisher.dataset(job, ingested, directory / "work"))
    finally:
        api.run(database.close())


def test_a_dataset_is_published_where_its_row_says(api: Api, tmp_path: Path) -> None:
    dataset = registered(api)
    job = claimed(api)
    ingested = made(tmp_path / "work" / "dataset")

    publisher = Publisher(api.services.database, api.services.artifacts)
    api.run(publisher.dataset(job, ingested, tmp_path / "work"))

    assert api.get(f"/datasets/{dataset['id']}").json()["status"] == "ready"
    assert api.get(f"/datasets/{dataset['id']}/report").text == "{}"


@pytest.mark.parametrize("path", ["{outside}", "../outside", "dataset/../../outside", "other", ""])
def test_a_path_that_is_not_the_datasets_is_not_published(
    api: Api, tmp_path: Path, path: str
) -> None:
    registered(api)
    job = claimed(api)
    work, outside = tmp_path / "work", tmp_path / "outside"
    (work / "dataset").mkdir(parents=True)
    ingested = made(outside, path.format(outside=outside))

    publisher = Publisher(api.services.database, api.services.artifacts)
    with pytest.raises(ArtifactCorrupt, match="is not the directory 'dataset'"):
        api.run(publisher.dataset(job, ingested, work))

    assert (outside / "report.json").is_file()
    assert stored(api) == []


def test_a_dataset_that_is_a_link_is_not_published(api: Api, tmp_path: Path) -> None:
    registered(api)
    job = claimed(api)
    work, outside = tmp_path / "work", tmp_path / "outside"
    ingested = made(outside)
    work.mkdir()
    (work / "dataset").symlink_to(outside)

    publisher = Publisher(api.services.database, api.services.artifacts)
    with pytest.raises(ArtifactCorrupt, match="is not the directory 'dataset'"):
        api.run(publisher.dataset(job, ingested, work))

    assert stored(api) == []


def test_a_link_beside_the_listed_files_is_not_published(api: Api, tmp_path: Path) -> None:
    dataset = registered(api)
    job = claimed(api)
    ingested = made(tmp_path / "work" / "dataset")
    (tmp_path / "work" / "dataset" / "findings.ndjson").symlink_to("/etc/hostname")

    publisher = Publisher(api.services.database, api.services.artifacts)
    with pytest.raises(ArtifactCorrupt, match=r"'findings\.ndjson' is neither"):
        api.run(publisher.dataset(job, ingested, tmp_path / "work"))

    assert api.get(f"/datasets/{dataset['id']}").json()["status"] == "validating"
    assert stored(api) == []


def test_an_artifact_goes_with_the_transaction_that_was_to_name_it(
    api: Api, tmp_path: Path
) -> None:
    registered(api)

    with pytest.raises(OSError, match="it is not committed"):
        publish_and_fail(api, tmp_path, committed=False)

    assert stored(api) == []


def test_an_artifact_stays_that_a_commit_has_named_before_it_failed(
    api: Api, tmp_path: Path
) -> None:
    dataset = registered(api)

    with pytest.raises(OSError, match="it is committed"):
        publish_and_fail(api, tmp_path, committed=True)

    assert api.get(f"/datasets/{dataset['id']}/report").text == "{}"
