"""Residue: what stands in a data directory and is named by nothing."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tunery_server.artifacts import FOLDERS, GRACE

_AGE_SECONDS = GRACE.total_seconds() * 2


class Residue(msgspec.Struct, kw_only=True, frozen=True):
    """Bytes that nothing names: received in part, of jobs that have ended, of no row."""

    incoming: int
    work: int
    unnamed: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.incoming + self.work + self.unnamed

    def __str__(self) -> str:
        return (
            f"incoming {self.incoming:,} B, work {self.work:,} B, unnamed blobs {self.unnamed:,} B"
        )


def job_folders(data_dir: Path) -> list[Path]:
    """Return the work directories of jobs that still have one."""
    return [path for path in (data_dir / "work").iterdir() if "job_" in path.name]


def rows(data_dir: Path, query: str) -> list[Any]:
    """Return the rows of a query to a service's database."""
    address = f"file:{data_dir / 'tunery.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        return database.execute(query).fetchall()


def residue(data_dir: Path) -> Residue:
    """Return what stands in a data directory and is named by nothing."""
    artifacts = data_dir / "artifacts"
    named = {f"files/{sha256}" for (sha256,) in rows(data_dir, "SELECT sha256 FROM files")}
    for table in ("datasets", "checkpoints", "versions"):
        named |= {key for (key,) in rows(data_dir, f"SELECT artifact FROM {table}")}
    entries = [entry for folder in FOLDERS for entry in (artifacts / folder).iterdir()]
    unnamed = [each for each in entries if each.relative_to(artifacts).as_posix() not in named]
    return Residue(
        incoming=size_of([artifacts / ".incoming"]),
        work=size_of(job_folders(data_dir)),
        unnamed=size_of(unnamed),
    )


def size_of(paths: Sequence[Path]) -> int:
    """Return the bytes of files, and of what stands below directories."""
    total = 0
    for path in paths:
        for each in [path, *path.rglob("*")]:
            with contextlib.suppress(FileNotFoundError):
                total += each.stat().st_size if each.is_file() else 0
    return total


def make_old(data_dir: Path) -> None:
    """Date all artifacts back, beyond the grace that is given to what no row names."""
    then = time.time() - _AGE_SECONDS
    for folder in FOLDERS:
        for entry in (data_dir / "artifacts" / folder).iterdir():
            os.utime(entry, (then, then))
