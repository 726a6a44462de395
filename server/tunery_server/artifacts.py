"""Artifacts: immutable files and directories, below one fsspec URL.

A directory exists when its manifest stands there, which is published last; nothing is ever
overwritten. On the local disk publishing is one rename followed by a sync of the folder.
"""

import asyncio
import contextlib
import errno
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import fsspec

from tunery_server.ids import new_id
from tunery_trainer.protocol import manifest

GRACE = timedelta(hours=1)  # before what no row names is removed
FOLDERS = ("files", "datasets", "checkpoints", "versions", "evaluations", "label-issues")
_PARTIAL = ".partial"  # in the name of a copy that is being fetched


class Artifacts:
    """What stands below the artifacts URL, by key such as `checkpoints/ckpt_…`."""

    def __init__(self, url: str, scratch: Path) -> None:
        """`scratch` receives files before they are published and copies of remote artifacts."""
        self._system, root = cast(Any, fsspec.core).url_to_fs(url)  # it has no types
        self._root = str(root).rstrip("/")
        self._local = "file" in self._system.protocol
        self.incoming = Path(self._root) / ".incoming" if self._local else scratch / "incoming"
        self._copies = scratch / "artifacts"

    async def prepare(self) -> None:
        """Make the folders and clear what an earlier life had not published."""
        await asyncio.to_thread(self._prepare)

    async def put_file(self, source: Path, key: str) -> None:
        """Publish a synced file; one that stands there already has the same content."""
        await asyncio.to_thread(self._put_file, source, key)

    async def put_directory(self, source: Path, key: str) -> None:
        """Publish a directory whose manifest is written; the source is gone afterwards."""
        await asyncio.to_thread(self._put_directory, source, key)

    async def fetch(self, key: str) -> Path:
        """Return a local path of an artifact, copied here first where it stands elsewhere."""
        return await asyncio.to_thread(self._fetch, key)

    def readable(self, folder: str) -> Path:
        """Return the local directory below which `fetch` finds the artifacts of a folder."""
        return Path(self._at(folder)) if self._local else self._copies / folder

    def sizes(self) -> dict[str, int]:
        """Return the bytes in each folder; none where they stand in an object store."""
        return {folder: _bytes_below(self._at(folder)) for folder in FOLDERS if self._local}

    async def remove(self, key: str) -> None:
        """Remove an artifact; the manifest of a directory goes first."""
        await asyncio.to_thread(self._remove, key)

    async def sweep(self, named: set[str]) -> int:
        """Remove what no row names: remains of a publication that was not committed.

        Nothing is removed where no row names anything: this may be another database's store.
        """
        return 0 if not named else await asyncio.to_thread(self._sweep, named)

    def _prepare(self) -> None:
        for folder in FOLDERS:
            self.readable(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            for partial in (self._copies / folder).glob(f"*{_PARTIAL}*"):
                _remove_local(partial)
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir(parents=True, mode=0o700)

    def _put_file(self, source: Path, key: str) -> None:
        if not self._local:
            self._system.put_file(str(source), self._at(key))
            source.unlink()
            return
        target = self._folder_of(key)
        source.chmod(0o444)
        source.rename(target)
        manifest.sync_directory(target.parent)

    def _put_directory(self, source: Path, key: str) -> None:
        if not self._local:
            files = [path for path in source.rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: path.name == manifest.NAME):
                name = path.relative_to(source).as_posix()
                self._system.put_file(str(path), f"{self._at(key)}/{name}")
            shutil.rmtree(source)
            return
        target = self._folder_of(key)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            staged = self.incoming / target.name  # on the file system of the artifacts
            shutil.copytree(source, staged)
            manifest.sync_tree(staged)
            staged.rename(target)
            shutil.rmtree(source)
        manifest.sync_directory(target.parent)

    def _folder_of(self, key: str) -> Path:
        target = Path(self._at(key))
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, mode=0o700)
            manifest.sync_directory(target.parent.parent)
        return target

    def _fetch(self, key: str) -> Path:
        if self._local:
            return Path(self._at(key))
        copy = self._copies / key
        if not copy.exists():
            partial = copy.with_name(new_id(f"{copy.name}{_PARTIAL}"))
            partial.parent.mkdir(parents=True, exist_ok=True)
            is_directory = self._system.isdir(self._at(key))
            self._system.get(self._at(key), str(partial), recursive=is_directory)
            try:
                partial.rename(copy)
            except OSError:
                if not copy.exists():  # else somebody else has fetched it meanwhile
                    raise
                shutil.rmtree(partial, ignore_errors=True)
        return copy

    def _remove(self, key: str) -> None:
        at = self._at(key)
        marker = f"{at}/{manifest.NAME}"
        if self._system.exists(marker):
            self._system.rm_file(marker)
        if self._system.exists(at):
            self._system.rm(at, recursive=True)
        if not self._local:
            _remove_local(self._copies / key)

    def _sweep(self, named: set[str]) -> int:
        removed = 0
        for folder in FOLDERS:
            if not self._system.exists(self._at(folder)):
                continue
            for entry in self._system.ls(self._at(folder), detail=False):
                key = f"{folder}/{Path(entry).name}"
                if key not in named and self._is_old(entry):
                    self._remove(key)
                    removed += 1
        return removed

    def _is_old(self, path: str) -> bool:
        modified: datetime = self._system.modified(path)
        return datetime.now(tz=UTC) - modified.replace(tzinfo=modified.tzinfo or UTC) > GRACE

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"


def _bytes_below(folder: str) -> int:
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # it is removed meanwhile
                size += Path(directory, name).stat().st_size
    return size


def _remove_local(copy: Path) -> None:
    if copy.is_dir():
        shutil.rmtree(copy)
    else:
        copy.unlink(missing_ok=True)
