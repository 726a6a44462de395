"""Artifacts: on the local disk, and in a store that knows no rename."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest

from tunery_server import artifacts as module
from tunery_server.artifacts import Artifacts
from tunery_trainer.protocol import manifest


@pytest.fixture(params=["file", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Artifacts]:
    url = f"file://{tmp_path / 'store'}" if request.param == "file" else "memory://store"
    store = Artifacts(url, tmp_path / "scratch")
    asyncio.run(store.prepare())
    yield store
    memory = fsspec.filesystem("memory")
    if memory.exists("/store"):
        memory.rm("/store", recursive=True)


def made(tmp_path: Path) -> tuple[Path, str]:
    """Return a directory with a manifest, and the manifest's hash."""
    directory = tmp_path / "made"
    (directory / "inner").mkdir(parents=True)
    (directory / "a.txt").write_text("a")
    (directory / "inner" / "b.txt").write_text("b")
    return directory, manifest.write(directory, {})[0]


def test_what_is_put_comes_back_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    directory, sha256 = made(tmp_path)

    asyncio.run(artifacts.put_directory(directory, "versions/ver_1"))

    fetched = asyncio.run(artifacts.fetch("versions/ver_1"))
    assert not directory.exists()
    assert set(manifest.verify(fetched, sha256).files) == {"a.txt", "inner/b.txt"}


def test_a_file_comes_back_with_its_bytes(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "upload"
    source.write_bytes(b"text,label\n")

    asyncio.run(artifacts.put_file(source, "files/abc"))

    assert asyncio.run(artifacts.fetch("files/abc")).read_bytes() == b"text,label\n"
    assert not source.exists()


def test_what_is_removed_is_gone_here_too(artifacts: Artifacts, tmp_path: Path) -> None:
    directory, _ = made(tmp_path)
    asyncio.run(artifacts.put_directory(directory, "datasets/data_1"))
    local = asyncio.run(artifacts.fetch("datasets/data_1"))

    asyncio.run(artifacts.remove("datasets/data_1"))

    assert not local.exists()


def test_half_of_a_copy_is_gone_at_the_next_start(artifacts: Artifacts, tmp_path: Path) -> None:
    copies = tmp_path / "scratch" / "artifacts"
    file, folder = copies / "files/abc.partial_1", copies / "datasets/data_1.partial_1"
    whole = copies / "files" / "abc"
    for path in (file, folder / "train.parquet", whole):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")

    asyncio.run(artifacts.prepare())

    assert [path.exists() for path in (file, folder, whole)] == [False, False, True]


def test_a_sweep_takes_old_remains_and_nothing_else(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "left"):
        source = tmp_path / name
        source.write_bytes(name.encode())
        asyncio.run(artifacts.put_file(source, f"files/{name}"))

    young = asyncio.run(artifacts.sweep({"files/kept"}))
    monkeypatch.setattr(module, "GRACE", timedelta(seconds=-1))
    foreign = asyncio.run(artifacts.sweep(set()))
    old = asyncio.run(artifacts.sweep({"files/kept"}))

    assert (young, foreign, old) == (0, 0, 1)
    assert asyncio.run(artifacts.fetch("files/kept")).read_bytes() == b"kept"
