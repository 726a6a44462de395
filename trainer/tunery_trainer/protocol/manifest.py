"""Manifests: an artifact exists when `manifest.json`, written last, names every file's sha256.

Trainers write them, the supervisor and the engines verify them before they use anything.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

import msgspec

NAME = "manifest.json"
_HASHERS = 2  # files at once: weights and their export are the most of it


class ManifestFile(msgspec.Struct, kw_only=True, frozen=True):
    """One file of an artifact."""

    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, kw_only=True, frozen=True):
    """All files of an artifact, by path relative to it, and facts about how it was made."""

    files: dict[str, ManifestFile]
    facts: dict[str, str | int | float | bool | None] = {}

    @property
    def size_bytes(self) -> int:
        """Size of all files, without the manifest."""
        return sum(file.size_bytes for file in self.files.values())


class ArtifactCorrupt(Exception):
    """A file is not what its manifest says, or the manifest is not the one that was recorded."""


def write(directory: Path, facts: dict[str, str | int | float | bool | None]) -> tuple[str, int]:
    """Write and sync the manifest of all files in a directory; return its sha256 and their size.

    Every file is synced and made read-only before the manifest is written, and the directories
    after it, so that a manifest that can be read proves that the rest can.
    """
    files: dict[str, ManifestFile] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            files[path.relative_to(directory).as_posix()] = _seal(path)
    manifest = Manifest(files=files, facts=facts)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    target = directory / NAME
    target.write_bytes(data)
    _seal(target)
    _sync_folders(directory)
    return hashlib.sha256(data).hexdigest(), manifest.size_bytes


def read(directory: Path) -> Manifest:
    """Return a directory's manifest without verifying its files.

    Raises:
        ArtifactCorrupt: there is none, or it can't be read.
    """
    try:
        with _opened(directory / NAME) as file:
            return msgspec.json.decode(file.read(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtifactCorrupt(f"{NAME} can't be read: {error}") from error


def verify(directory: Path, manifest_sha256: str) -> Manifest:
    """Return the manifest after hashing it and every file that it names.

    A confined child made the directory, and others than it will read it: a link would lead them
    to what it could not read itself.

    Raises:
        ArtifactCorrupt: a file is missing, differs, is not listed or is no file; the message names
            it.
    """
    manifest = read(directory)
    if _digest_of(directory / NAME) != manifest_sha256:
        raise ArtifactCorrupt(f"{NAME} is not the one that was recorded")
    found = set(_files_below(directory))
    for name in sorted(found - manifest.files.keys() - {NAME}):
        raise ArtifactCorrupt(f"{name!r} is not in {NAME}")
    for name in sorted(manifest.files.keys() - found):
        raise ArtifactCorrupt(f"{name} is missing")
    with ThreadPoolExecutor(_HASHERS) as pool:  # hashing lets go of the interpreter's lock
        digests = pool.map(lambda name: _digest_of(directory / name), manifest.files)
        for (name, expected), digest in zip(manifest.files.items(), digests, strict=True):
            if digest != expected.sha256:
                raise ArtifactCorrupt(f"{name} is not what the manifest says")
    return manifest


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(directory: Path) -> None:
    """Make a copied directory survive a power cut."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folders(directory)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files_below(directory: Path) -> Iterator[str]:
    folders = [directory]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                name = Path(entry).relative_to(directory).as_posix()
                if entry.is_dir(follow_symlinks=False):
                    folders.append(directory / name)
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise ArtifactCorrupt(f"{name!r} is neither a file nor a directory")


def _digest_of(path: Path) -> str:
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path) -> BufferedReader:
    # Neither led elsewhere by a link nor held up by a pipe that nobody writes to.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _sync_folders(directory: Path) -> None:
    for folder in [*(path for path in directory.rglob("*") if path.is_dir()), directory]:
        sync_directory(folder)


def _seal(path: Path) -> ManifestFile:
    path.chmod(0o444)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return ManifestFile(sha256=digest, size_bytes=os.fstat(file.fileno()).st_size)
