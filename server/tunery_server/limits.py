"""Limits: what is decided before a request is looked at, for every path alike.

Owns the request id, the Host allowlist, the size of a body and the pace at which it must come, and
that a worker that stops takes nothing new.
"""

import asyncio
import re
import time
from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPRequestEvent,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from tunery_server.ids import new_id
from tunery_server.problems import CODE, MEDIA_TYPE, REQUEST_ID, Refusal, language_of, quote
from tunery_server.services import Services

WINDOW_SECONDS = 10.0  # of waiting for the client, not of our own work
MIN_BYTES_PER_WINDOW = 10 * 1024
MAX_SMALL_CHUNKS = 70_000
SMALL_CHUNK_BYTES = 256
_HEALTH = "/health/"  # is answered to the last
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,100}")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?")

Headers = Iterable[tuple[bytes, bytes]]
Received = HTTPReceiveMessage | WebSocketReceiveMessage


class Gate:
    """The layer that every request passes before it reaches a route."""

    def __init__(
        self, app: ASGIApp, services: Services, *, window_seconds: float = WINDOW_SECONDS
    ) -> None:
        self._app = app
        self._settings = services.settings
        self._hosts = frozenset(host.lower().strip("[]") for host in self._settings.hosts)
        self._drain = services.drain
        self._window_seconds = window_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        if "state" not in scope:
            scope["state"] = {}
        scope["state"][REQUEST_ID] = request_id
        echo = (b"x-request-id", request_id.encode("ascii"))
        body: _Body | None = None
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [*message["headers"], echo, (b"x-content-type-options", b"nosniff")]
                if body is None or not body.complete or self._drain.closed:
                    headers.append((b"connection", b"close"))  # the rest of the body is unread
                message["headers"] = headers
            await send(message)

        try:
            self._check_host(scope["headers"])
            self._check_open(scope["path"])
            body = _Body(
                receive,
                _declared_length(scope["headers"]),
                self._limit(scope["path"]),
                self._window_seconds,
            )
            with self._drain.request():
                await self._app(scope, body.receive, send_with_id)
        except Refusal as refusal:
            if started:
                raise
            scope["state"][CODE] = refusal.code
            await _answer(refusal, request_id, scope["headers"], send_with_id)

    def _check_host(self, headers: Headers) -> None:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        match = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if match is None or match.group(1).strip("[]") not in self._hosts:
            raise Refusal("misdirected-request", f"Host {quote(', '.join(hosts))}")

    def _check_open(self, path: str) -> None:
        if self._drain.closed and not path.startswith(_HEALTH):
            raise Refusal("draining", "no new requests are taken")

    def _limit(self, path: str) -> int:
        if path.rstrip("/") == "/files":
            return self._settings.max_upload_bytes
        if path.rstrip("/") == "/predict":
            return self._settings.max_predict_bytes
        return self._settings.max_json_bytes


class _Body:
    """The body of one request, counted and timed while it is read."""

    def __init__(
        self, receive: Receive, declared: int | None, limit: int, window_seconds: float
    ) -> None:
        if declared is not None and declared > limit:
            raise Refusal("body-too-large", f"{declared} bytes; at most {limit} are taken")
        self.complete = declared == 0
        self._receive = receive
        self._limit = limit
        self._window_seconds = window_seconds
        self._bytes = 0
        self._small_chunks = 0
        self._waited = 0.0
        self._in_window = 0

    async def receive(self) -> Received:
        """Return the next message.

        Raises:
            Refusal: the body is too large or too slow, or the client has gone in the middle.
        """
        if self.complete:
            return await self._receive()
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            raise Refusal("incomplete-body", "the client has gone")
        if message["type"] == "http.request":
            self._count(message)
        return message

    async def _in_time(self) -> Received:
        while True:
            started_at = time.monotonic()
            try:
                async with asyncio.timeout(self._window_seconds - self._waited):
                    message = await self._receive()
            except TimeoutError:
                self._end_window()
                continue
            self._waited += time.monotonic() - started_at
            if self._waited >= self._window_seconds:
                self._end_window()
            return message

    def _end_window(self) -> None:
        if self._in_window < MIN_BYTES_PER_WINDOW:
            raise Refusal(
                "body-timeout", f"{self._in_window} bytes in {self._window_seconds:g} seconds"
            )
        self._waited = 0.0
        self._in_window = 0

    def _count(self, message: HTTPRequestEvent) -> None:
        size = len(message["body"])
        self._bytes += size
        self._in_window += size
        self._small_chunks += size < SMALL_CHUNK_BYTES
        self.complete = not message.get("more_body", False)
        if self._bytes > self._limit:
            raise Refusal("body-too-large", f"at most {self._limit} bytes are taken")
        if self._small_chunks > MAX_SMALL_CHUNKS:
            raise Refusal("body-too-large", f"more than {MAX_SMALL_CHUNKS} small chunks")


def _request_id(headers: Headers) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return new_id("req")


def _declared_length(headers: Headers) -> int | None:
    given = {value for name, value in headers if name == b"content-length"}
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if not given:
        return None if chunked else 0
    text = next(iter(given))
    if len(given) > 1 or chunked or not text.isdigit() or len(text) > 18:
        raise Refusal("bad-request", "Content-Length can't be used")
    return int(text)


async def _answer(refusal: Refusal, request_id: str, headers: Headers, send: Send) -> None:
    accepted = next((value for name, value in headers if name == b"accept-language"), b"")
    language = language_of(accepted.decode("latin-1"))
    body = refusal.body(request_id, language)
    fields = [
        (b"content-language", language.encode()),
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})
