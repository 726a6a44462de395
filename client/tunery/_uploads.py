"""Uploads: a file, bytes or an open stream as the body of a request, read in pieces.

Owns the guess of a media type from a name, and the hash that proves what the service has got.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tunery._calls import Body
from tunery.errors import DigestMismatch, InvalidArgument
from tunery.types import File

Source = str | Path | bytes | BinaryIO
OnProgress = Callable[[int, int | None], None]  # bytes sent, bytes in all where known
CHUNK_BYTES = 256 * 1024

_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}


class FileBody(Body):
    """The bytes of a source; begun anew at every try.

    Raises:
        InvalidArgument: the source is none.
    """

    def __init__(self, source: Source, on_progress: OnProgress | None) -> None:
        self._source = Path(source) if isinstance(source, str) else source
        self._on_progress = on_progress
        self._start = 0
        self.sha256 = ""
        self.size_bytes = self._size()

    def open(self) -> Iterator[bytes]:
        """Yield the bytes from the beginning, and hash them on the way.

        Raises:
            OSError: the file can't be read.
        """
        hasher = hashlib.sha256()
        sent = 0
        for chunk in self._chunks():
            yield chunk
            hasher.update(chunk)
            sent += len(chunk)
            if self._on_progress is not None:
                self._on_progress(sent, self.size_bytes)
        self.sha256 = hasher.hexdigest()

    def check(self, file: File) -> None:
        """Compare what was sent with what the service has.

        Raises:
            DigestMismatch: it has other bytes.
        """
        if self.sha256 and file.sha256 != self.sha256:  # a replayed answer needs no body
            raise DigestMismatch(
                f"{file.id} has SHA-256 {file.sha256}, {self.sha256} was sent",
                code="digest-mismatch",
                hint="Upload it again.",
            )

    def _size(self) -> int | None:
        if isinstance(self._source, bytes):
            return len(self._source)
        if isinstance(self._source, Path):
            return self._source.stat().st_size
        if not hasattr(self._source, "read"):
            kind = type(self._source).__name__
            raise InvalidArgument(f"give a path, bytes or an open file, not {kind}")
        if not self._source.seekable():
            self.again = False
            return None
        self._start = self._source.tell()
        size = self._source.seek(0, io.SEEK_END) - self._start
        self._source.seek(self._start)
        return size

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self._source, bytes):
            for start in range(0, len(self._source), CHUNK_BYTES):
                yield self._source[start : start + CHUNK_BYTES]
        elif isinstance(self._source, Path):
            with self._source.open("rb") as file:
                yield from _read(file)
        else:
            if self.again:
                self._source.seek(self._start)
            yield from _read(self._source)


def name_of(source: Source) -> str:
    """Return how a source calls itself; what has no name is taken for a CSV."""
    if isinstance(source, str | Path):
        return Path(source).name
    name = "" if isinstance(source, bytes) else getattr(source, "name", "")
    return Path(name).name if isinstance(name, str) and name else "upload.csv"


def stem_of(source: Source | File) -> str:
    """Return what a dataset is called after its file."""
    name = source.name if isinstance(source, File) else name_of(source)
    return Path(name).stem


def media_type_of(name: str) -> str:
    """Return the media type that a file's name stands for.

    Raises:
        InvalidArgument: it does not say.
    """
    found = _MEDIA_TYPES.get(Path(name).suffix.lower())
    if found is None:
        known = ", ".join(_MEDIA_TYPES)
        raise InvalidArgument(f"{name!r} ends in none of {known}; pass media_type=")
    return found


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
