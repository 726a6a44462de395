"""Answers: structs as bytes, their ETags, and waiting for one to change."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import Response
from litestar.params import QueryParameter

from tunery_server.requests import Request

T = TypeVar("T")

Wait = Annotated[
    int,
    QueryParameter(
        ge=0, le=60, description="Seconds to wait for a change of what If-None-Match names."
    ),
]
_encoder = msgspec.json.Encoder()


def encode(answer: Any) -> bytes:
    """Return a struct as JSON."""
    return _encoder.encode(answer)


def etag_of(body: bytes) -> str:
    """Return the ETag of an answer's bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def names(condition: str, etag: str) -> bool:
    """Return whether an If-Match or If-None-Match header names an ETag."""
    tags = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    return etag in tags or "*" in tags


def answer(
    content: T, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[T]:
    """Return a struct as an answer, encoded here and now."""
    return from_bytes(encode(content), type(content), status=status, headers=headers)


def from_bytes(
    body: bytes, _of: type[T], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[T]:
    """Return bytes that already are the JSON of a type as an answer."""
    # Litestar sends bytes as they are; the type is what the API documentation shows.
    return Response(
        cast("T", body),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )


async def watched(
    request: Request, key: str, fetch: Callable[[], Awaitable[T]], wait_seconds: int
) -> Response[T]:
    """Answer a resource with its ETag; 304 when it is, after waiting, what the client has."""
    condition = request.headers.get("if-none-match", "")
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_seconds
    with request.services.news.watching(key) as watch:
        while True:
            content = await fetch()
            body = encode(content)
            etag = etag_of(body)
            if not condition or not names(condition, etag):
                return from_bytes(body, type(content), headers={"ETag": etag})
            left = until - loop.time()
            if left <= 0 or request.services.draining:
                return from_bytes(b"", type(content), status=304, headers={"ETag": etag})
            await watch.changed(left)
