"""Uploads: whatever holds the bytes, all of them arrive, and that is checked."""

import asyncio
import hashlib
import io
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.client.answers import CSV, FILE, KEY, Script, client_of, refused
from tests.client.listening import listening

from tunery import AsyncClient, Client
from tunery._uploads import CHUNK_BYTES, media_type_of
from tunery.errors import DigestMismatch, InvalidArgument, TimedOut
from tunery.types import File


class Pipe(io.BytesIO):
    """A stream that can't be rewound."""

    def seekable(self) -> bool:
        return False


class Slow(io.BytesIO):
    """A file of five pieces, each of which takes a third of a second to read."""

    def __init__(self) -> None:
        super().__init__(b"x" * (5 * CHUNK_BYTES))
        self._never = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        """Read, late."""
        self._never.wait(0.3)
        return super().read(size)


def source_of(kind: str, folder: Path) -> Any:
    path = folder / "reviews.csv"
    path.write_bytes(CSV)
    behind = io.BytesIO(b"skipped" + CSV)
    behind.seek(7)
    sources = {"path": path, "text": str(path), "bytes": CSV, "file": io.BytesIO(CSV)}
    return {**sources, "behind": behind, "pipe": Pipe(CSV)}[kind]


def sent_by(request: httpx.Request) -> bytes:
    """Return the body as a network reads it."""
    assert isinstance(request.stream, Iterable)
    return b"".join(request.stream)


class Store:
    """A service that keeps the bodies it gets."""

    def __init__(self, *refusals: httpx.Response) -> None:
        self._refusals = list(refusals)
        self.bodies: list[bytes] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(sent_by(request))
        self.headers.append(request.headers)
        return self._refusals.pop() if self._refusals else httpx.Response(201, json=FILE)


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "file", "behind", "pipe"])
def test_every_kind_of_source_arrives_whole(kind: str, tmp_path: Path) -> None:
    store = Store()

    with client_of(store) as client:
        client.files.upload(source_of(kind, tmp_path), name="reviews.csv")

    sized = {"Transfer-Encoding": "chunked"} if kind == "pipe" else {"Content-Length": "18"}
    assert store.bodies == [CSV]
    assert store.headers[0]["Content-Type"] == "text/csv"
    assert {name: store.headers[0].get(name) for name in sized} == sized


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "behind"])
def test_another_try_sends_everything_again(kind: str, tmp_path: Path) -> None:
    store = Store(refused("internal-error", 500))

    with client_of(store) as client:
        client.files.upload(source_of(kind, tmp_path), name="reviews.csv")

    assert store.bodies == [CSV, CSV]


def test_progress_is_told_piece_by_piece() -> None:
    seen: list[tuple[int, int | None]] = []
    script = Script(refused("unsupported-format", 415))

    def handler(request: httpx.Request) -> httpx.Response:
        sent_by(request)
        return script(request)

    with client_of(handler) as client, pytest.raises(Exception, match="unsupported-format"):
        client.files.upload(
            b"x" * 600_000, name="a.csv", on_progress=lambda sent, of: seen.append((sent, of))
        )

    assert seen == [(262_144, 600_000), (524_288, 600_000), (600_000, 600_000)]


def receive(request: httpx.Request) -> httpx.Response:
    digest = hashlib.sha256(request.content).hexdigest()
    return httpx.Response(201, json={**FILE, "bytes": len(request.content), "sha256": digest})


def test_an_upload_that_gets_on_takes_longer_than_the_total_time() -> None:
    with (
        listening(receive) as url,
        Client(url, api_key=KEY, timeout=1.0, max_retries=0) as client,
    ):
        file = client.files.upload(Slow(), name="reviews.csv")

    assert file.bytes == 5 * CHUNK_BYTES


def test_an_awaited_upload_that_gets_on_takes_longer_than_the_total_time() -> None:
    async def body(url: str) -> File:
        async with AsyncClient(url, api_key=KEY, timeout=1.0, max_retries=0) as client:
            return await client.files.upload(Slow(), name="reviews.csv")

    with listening(receive) as url:
        assert asyncio.run(body(url)).bytes == 5 * CHUNK_BYTES


def test_an_upload_whose_answer_does_not_come_ends_in_time() -> None:
    ended = threading.Event()

    def silent(request: httpx.Request) -> httpx.Response:
        ended.wait(20.0)
        return receive(request)

    with (
        listening(silent) as url,
        Client(url, api_key=KEY, timeout=0.5, max_retries=0) as client,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut):
            client.files.upload(CSV, name="reviews.csv")
        took = time.monotonic() - began
        ended.set()

    assert took < 10.0


def test_other_bytes_than_were_sent_are_found_out() -> None:
    store = Store()

    with client_of(store) as client, pytest.raises(DigestMismatch, match="was sent"):
        client.files.upload(b"text,label\nho,good", name="reviews.csv")


def test_a_file_that_is_not_there_is_never_sent(tmp_path: Path) -> None:
    store = Store()

    with client_of(store) as client, pytest.raises(FileNotFoundError):
        client.files.upload(tmp_path / "no.csv")

    assert store.bodies == []


def test_a_name_says_the_media_type_or_it_must_be_given() -> None:
    assert media_type_of("A.CSV") == "text/csv"
    assert media_type_of("a.jsonl") == "application/x-ndjson"
    with pytest.raises(InvalidArgument, match="pass media_type="):
        media_type_of("a.xlsx")
