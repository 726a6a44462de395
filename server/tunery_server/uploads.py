"""Uploads: a raw body onto the disk, hashed on its way, never held in memory."""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tunery.types import MEDIA_TYPES, PARQUET
from tunery_server.disk import RESERVE_BYTES
from tunery_server.ids import new_id
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request, check_encoding

_WRITE_BYTES = 1 << 20  # gathered before a thread is asked to write them
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):\s*(?:,|$)")
_PARQUET = (b"PAR1", b"PARE")  # E: with an encrypted footer
_FOREIGN = (
    b"PK\x03\x04",  # zip, xlsx
    b"PK\x05\x06",
    b"\x1f\x8b",  # gzip
    b"\x28\xb5\x2f\xfd",  # zstd
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf\x27\x1c",
    b"\x80\x02",  # pickle, protocols 2 to 5
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"ARROW1",
    b"FEA1",
    b"\x89HDF",
    b"\x89PNG",
    b"\xff\xd8\xff",  # JPEG
    b"%PDF-",
    b"SQLite format 3\x00",
    b"\xd0\xcf\x11\xe0",  # OLE: xls
    b"\x7fELF",
    b"Obj\x01",  # Avro
    b"ORC",
)
_TAR_AT, _TAR = 257, b"ustar"


class Upload(msgspec.Struct, kw_only=True, frozen=True):
    """A body that lies, whole and synced, in a temporary file."""

    path: Path
    media_type: str
    size_bytes: int
    sha256: str


@asynccontextmanager
async def received(request: Request, incoming: Path) -> AsyncGenerator[Upload]:
    """Receive the body; the file is gone when the block ends, unless it was moved away.

    Raises:
        Refusal: not a file that tunery reads, or not the one that was announced.
    """
    media_type = _media_type(request)
    expected = _expected_digest(request)
    await asyncio.to_thread(_check_space, incoming, request.headers.get("content-length"))
    # Named after this process: where it dies, its supervisor removes what it has left.
    path = incoming / f"{os.getpid()}-{new_id('upload')}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            size, sha256 = await _write(request, descriptor, media_type)
        finally:
            os.close(descriptor)
        if size == 0:
            raise Refusal("empty-file", "the body has no bytes")
        if expected is not None and expected != sha256:
            raise Refusal("digest-mismatch", f"the bytes have SHA-256 {sha256.hex()}")
        yield Upload(path=path, media_type=media_type, size_bytes=size, sha256=sha256.hex())
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _check_space(incoming: Path, length: str | None) -> None:
    """Refuse a body that the disk has no room for, before it is read."""
    if length is not None and length.isdecimal():
        free = shutil.disk_usage(incoming).free - RESERVE_BYTES
        if int(length) > free:
            message = f"the body has {int(length):,} bytes, and {max(0, free):,} are free"
            raise Refusal("insufficient-storage", message)


async def _write(request: Request, descriptor: int, media_type: str) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray()
    checked = False

    def flush(chunk: bytes) -> None:
        digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]

    async for part in request.stream():
        buffer += part
        size += len(part)
        if not checked and len(buffer) >= _TAR_AT + len(_TAR):
            _check_magic(bytes(buffer), media_type)
            checked = True
        if len(buffer) >= _WRITE_BYTES:
            chunk, buffer = bytes(buffer), bytearray()
            await asyncio.to_thread(flush, chunk)
    if not checked:
        _check_magic(bytes(buffer), media_type)
    await asyncio.to_thread(flush, bytes(buffer))
    await asyncio.to_thread(os.fsync, descriptor)
    return size, digest.digest()


def _media_type(request: Request) -> str:
    check_encoding(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in MEDIA_TYPES:
        return media_type
    accepted = " or ".join(MEDIA_TYPES)
    if media_type == "multipart/form-data":
        raise Refusal(
            "unsupported-media-type",
            "send the bytes of the file as the body, not a form",
            hint="curl --data-binary @reviews.csv -H 'Content-Type: text/csv' "
            "-H 'Authorization: Bearer tnr_…' 'http://…/files?name=reviews.csv'",
        )
    shown = quote(media_type) if media_type else "none"
    raise Refusal("unsupported-media-type", f"Content-Type is {shown}; send {accepted}")


def _expected_digest(request: Request) -> bytes | None:
    header = request.headers.get("content-digest")
    if header is None:
        return None
    match = _DIGEST.search(header)
    if match is None:
        return None  # RFC 9530: algorithms that are not known are ignored
    try:
        return base64.b64decode(match.group(1), validate=True)
    except binascii.Error:
        raise Refusal("bad-request", "Content-Digest is not base64") from None


def _check_magic(start: bytes, media_type: str) -> None:
    if start.startswith(_FOREIGN) or start[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        raise Refusal("unsupported-format", "the bytes are neither CSV, JSON nor Parquet")
    is_parquet = start.startswith(_PARQUET)
    if start and is_parquet != (media_type == PARQUET):
        found = "are" if is_parquet else "are not"
        raise Refusal(
            "format-mismatch", f"Content-Type is {media_type}, and the bytes {found} Parquet"
        )
