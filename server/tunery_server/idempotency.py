"""Idempotency: a POST that creates something does so once per Idempotency-Key."""

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
_KEY = re.compile(r"[\x20-\x7e]{1,200}")
_TRIES = 5


class Created(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """What a creation answers."""

    content: T
    status: int
    location: str


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
    """Run a creation in one transaction with the answer that is kept for its key.

    Where another request was between, on a database that runs transactions side by side, this
    one starts over and finds what the other has made.

    Raises:
        Refusal: the key was used for another request; or what `make` raises.
    """
    key = key_of(request)
    fingerprint = await _fingerprint(request, body_sha256) if key is not None else ""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(IntegrityError):
            return await _attempt(request, key, fingerprint, of, make)
    return await _attempt(request, key, fingerprint, of, make)


async def _attempt(
    request: Request,
    key: str | None,
    fingerprint: str,
    of: type[T],
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
) -> Response[T]:
    async with request.services.database.write() as connection:
        if key is None:
            answered = _answer(await make(connection), of)
        else:
            answered = await _once(connection, request.project, key, fingerprint, of, make)
    request.services.news.wake()
    return answered


async def _once(
    connection: AsyncConnection,
    project: str,
    key: str,
    fingerprint: str,
    of: type[T],
    make: Callable[[AsyncConnection], Awaitable[Created[T]]],
) -> Response[T]:
    kept = await idempotency.find(connection, project, key)
    if kept is not None:
        return _replay(kept, fingerprint, of)
    created = await make(connection)
    await idempotency.keep(
        connection,
        project=project,
        key=key,
        request_sha256=fingerprint,
        status=created.status,
        headers={"Location": created.location},
        body=encode(created.content),
    )
    return _answer(created, of)


def _answer(created: Created[T], of: type[T]) -> Response[T]:
    headers = {"Location": created.location}
    return from_bytes(encode(created.content), of, status=created.status, headers=headers)


async def _fingerprint(request: Request, body_sha256: str | None) -> str:
    content = body_sha256 or hashlib.sha256(await request.body()).hexdigest()
    query = request.scope["query_string"].decode("latin-1")
    parts = (request.method, request.scope["path"], query, content)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _replay(kept: Row[tuple[object, ...]], fingerprint: str, of: type[T]) -> Response[T]:
    if kept.request_sha256 != fingerprint:
        raise Refusal("idempotency-key-reused", "its first request had another path or body")
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return from_bytes(kept.body, of, status=kept.status, headers=headers)
