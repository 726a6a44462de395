"""The cache: the tokenised rows of a dataset go when it does."""

from pathlib import Path

from tests.server.conftest import Api

from tunery_server.supervisor import cache


def tokenised(cache_dir: Path, dataset_id: str) -> Path:
    folder = cache_dir / dataset_id
    folder.mkdir(parents=True)
    (folder / "0-train.arrow").write_bytes(b"rows")
    return folder


def test_tokenised_rows_go_with_their_dataset(api: Api) -> None:
    kept, deleted = api.add_dataset(), api.add_dataset()
    cache_dir = api.services.settings.cache_dir
    folders = [tokenised(cache_dir, dataset_id) for dataset_id in (kept, deleted)]
    assert api.delete(f"/datasets/{deleted}").status_code == 204

    api.run(cache.sweep(api.services.database, cache_dir))

    assert [folder.exists() for folder in folders] == [True, False]


def test_a_cache_that_somebody_has_removed_is_no_error(api: Api) -> None:
    cache_dir = api.services.settings.cache_dir

    api.run(cache.sweep(api.services.database, cache_dir))

    assert not cache_dir.exists()
