"""Idempotency: a POST that comes again under its Idempotency-Key is not carried out again."""

import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec
from litestar import Response
from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.answers import encode, from_bytes
from tunery_server.db.queries import idempotency
from tunery_server.problems import Refusal
from tunery_server.requests import Request

T = TypeVar("T")
NO_BODY = hashlib.sha256(b"").hexdigest()  # of a POST that takes none: what it brings is not read
REPLAYED = {"Idempotency-Replayed": "true"}
_KEY = re.compile(r"[\x20-\x7e]{1,200}")
_TRIES = 5


class Created(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """What a first request answers; the content is kept for its key."""

    content: T
    status: int
    location: str
    etag: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the answer has, and its replays too."""
        located = {"Location": self.location}
        return located if self.etag is None else {**located, "ETag": self.etag}


class Replay(msgspec.Struct, kw_only=True, frozen=True):
    """The kept answer to an earlier request with the same key."""

    body: bytes
    status: int
    headers: dict[str, str]


def key_of(request: Request) -> str | None:
    """Return the request's Idempotency-Key.

    Raises:
        Refusal: it can't be used.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        raise Refusal("bad-idempotency-key", f"it has {len(key)} characters, or unprintable ones")
    return key


async def create(
    request: Request,
    of: type[T],
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
    *,
    body_sha256: str | None = None,
) -> Response[T]:
    """Run a creation and answer with what it made, or as its first request was answered.

    Raises:
        Refusal: see `once`.
    """
    done = await once(request, make, body_sha256=body_sha256)
    body = done.body if isinstance(done, Replay) else encode(done.content)
    return from_bytes(body, of, status=done.status, headers=done.headers)


async def once(
    request: Request,
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
    *,
    body_sha256: str | None = None,
) -> Created[T] | Replay:
    """Run `make` in one transaction with the answer that is kept for the request's key.

    Where another request was between, on a database that runs transactions side by side, this
    one starts over and finds what the other has made.

    Raises:
        Refusal: the key was used for another request; or what `make` raises.
    """
    key = key_of(request)
    fingerprint = await _fingerprint(request, body_sha256) if key is not None else ""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(IntegrityError):
            return await _attempt(request, key, fingerprint, make)
    return await _attempt(request, key, fingerprint, make)


async def _attempt(
    request: Request,
    key: str | None,
    fingerprint: str,
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
) -> Created[T] | Replay:
    async with request.services.database.write() as connection:
        if key is None:
            done: Created[T] | Replay = await make(connection)
        else:
            done = await _kept_or_made(connection, request.project, key, fingerprint, make)
    request.services.news.wake()
    return done


async def _kept_or_made(
    connection: AsyncConnection,
    project: str,
    key: str,
    fingerprint: str,
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
) -> Created[T] | Replay:
    kept = await idempotency.find(connection, project, key)
    if kept is not None:
        return _replay(kept, fingerprint)
    created = await make(connection)
    await idempotency.keep(
        connection,
        project=project,
        key=key,
        request_sha256=fingerprint,
        status=created.status,
        headers=created.headers,
        body=encode(created.content),
    )
    return created


async def _fingerprint(request: Request, body_sha256: str | None) -> str:
    content = body_sha256 or hashlib.sha256(await request.body()).hexdigest()
    query = request.scope["query_string"].decode("latin-1")
    parts = (request.method, request.scope["path"], query, content)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _replay(kept: Row[tuple[object, ...]], fingerprint: str) -> Replay:
    if kept.request_sha256 != fingerprint:
        raise Refusal("idempotency-key-reused", "its first request had another path or body")
    return Replay(body=kept.body, status=kept.status, headers={**kept.headers, **REPLAYED})
