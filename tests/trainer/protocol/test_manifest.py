"""Manifests: what verifies, and what a child may have left in a directory that does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.manifest import ArtifactCorrupt


def sealed(directory: Path) -> str:
    """Make a directory of two files and return the hash of its manifest."""
    (directory / "inner").mkdir(parents=True)
    (directory / "a.txt").write_text("a")
    (directory / "inner" / "b.txt").write_text("b")
    return manifest.write(directory, {})[0]


def test_files_that_are_all_listed_verify(tmp_path: Path) -> None:
    sha256 = sealed(tmp_path / "made")
    (tmp_path / "made" / "empty").mkdir()

    verified = manifest.verify(tmp_path / "made", sha256)

    assert set(verified.files) == {"a.txt", "inner/b.txt"}


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (
            lambda made: (made / "findings.ndjson").symlink_to("/etc/hostname"),
            "'findings.ndjson' is neither a file nor a directory",
        ),
        (
            lambda made: (made / "inner" / "etc").symlink_to("/etc"),
            "'inner/etc' is neither a file nor a directory",
        ),
        (lambda made: os.mkfifo(made / "pipe"), "'pipe' is neither a file nor a directory"),
        (
            lambda made: (made / "inner" / "c.txt").write_text("c"),
            r"'inner/c.txt' is not in manifest\.json",
        ),
        (
            lambda made: (made / "inner" / manifest.NAME).write_text("{}"),
            r"'inner/manifest\.json' is not in manifest\.json",
        ),
        (lambda made: (made / "a.txt").unlink(), r"a\.txt is missing"),
    ],
)
def test_what_the_manifest_does_not_list_does_not_verify(
    tmp_path: Path, leave: Callable[[Path], None], message: str
) -> None:
    sha256 = sealed(tmp_path / "made")
    leave(tmp_path / "made")

    with pytest.raises(ArtifactCorrupt, match=message):
        manifest.verify(tmp_path / "made", sha256)


def test_a_listed_file_that_is_a_link_does_not_verify(tmp_path: Path) -> None:
    sha256 = sealed(tmp_path / "made")
    (tmp_path / "made" / "a.txt").rename(tmp_path / "a.txt")
    (tmp_path / "made" / "a.txt").symlink_to(tmp_path / "a.txt")

    with pytest.raises(ArtifactCorrupt, match=r"'a\.txt' is neither"):
        manifest.verify(tmp_path / "made", sha256)


def test_a_listed_file_outside_of_the_directory_does_not_verify(tmp_path: Path) -> None:
    sealed(tmp_path / "made")
    outside = tmp_path / "outside"
    outside.write_text("a")
    path = tmp_path / "made" / manifest.NAME
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"a.txt"', b'"../outside"'))
    (tmp_path / "made" / "a.txt").unlink()

    with pytest.raises(ArtifactCorrupt, match=r"\.\./outside is missing"):
        manifest.verify(tmp_path / "made", manifest.sha256_of(path))


@pytest.mark.parametrize(
    "put", [lambda path, to: path.symlink_to(to), lambda path, _: os.mkfifo(path)]
)
def test_a_manifest_that_is_no_file_can_not_be_read(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    sha256 = sealed(tmp_path / "made")
    (tmp_path / "made" / manifest.NAME).rename(tmp_path / "away.json")
    put(tmp_path / "made" / manifest.NAME, tmp_path / "away.json")

    with pytest.raises(ArtifactCorrupt, match="can't be read"):
        manifest.verify(tmp_path / "made", sha256)
