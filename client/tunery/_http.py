"""HTTP: carries out calls, with tries and deadlines, and turns what goes wrong into our errors.

The only module that imports httpx. `Session` blocks, `AsyncSession` awaits; what they share are
the functions below them. Both answer a call with what its type says, or raise a `TuneryError`
within the total time of its policy.
"""

import asyncio
import re
import time
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, cast

import httpcore
import httpx
import msgspec

from tunery import __version__
from tunery._calls import EVENT_STREAM, Call
from tunery._deadline import DeadlineBackend, deadline, put_off
from tunery._decode import decode
from tunery._retries import IDLE_SECONDS, Budget, Policy, Tries, retry_after_seconds
from tunery._settings import ClientSettings
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    InvalidAnswer,
    InvalidArgument,
    TimedOut,
    TuneryError,
    class_of,
    family_of,
)
from tunery.types import Problem

T = TypeVar("T")
Transport = httpx.BaseTransport
AsyncTransport = httpx.AsyncBaseTransport
Moved = Callable[[float], float | None]  # seconds that a piece of a body took; the new deadline
CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 100
# The service greets at once and beats every 15 s; silence means a proxy that hoards what it gets.
STREAM_FIRST_BYTE_SECONDS = 10.0
STREAM_IDLE_SECONDS = 45.0
_STREAM_STATUSES = (200, 204, 406)  # 406: something between lets no stream through
_SHOWN_CHARACTERS = 200
_KEY = re.compile(r"[\x20-\x7e]{1,200}")


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What came back, whole."""

    status: int
    etag: str | None
    content: bytes


class Session:
    """Connections to one service, shared by a client and its variants."""

    def __init__(self, settings: ClientSettings, transport: httpx.BaseTransport | None) -> None:
        self.settings = settings
        self._budget = Budget()
        self._client = httpx.Client(
            base_url=settings.url,
            headers=_headers(settings),
            transport=transport or _DeadlineTransport(settings.url),
            timeout=None,
            trust_env=False,
        )

    def send(self, call: Call[T], policy: Policy, key: str | None = None) -> T:
        """Return the answer to a call.

        Raises:
            TuneryError: there is none, or it is a refusal.
        """
        headers = _headers_of(call, key)
        tries = Tries(call, policy, self._budget)
        while True:
            try:
                value = _value(self._try(call, headers, tries.until(), tries.moved), call)
            except TuneryError as failure:
                if tries.was_done_before(failure):
                    return decode(b"null", call.of)
                time.sleep(tries.after(failure))
            else:
                tries.succeeded()
                return value

    def ask(self, call: Call[Any], until: float | None) -> Answer:
        """Return the answer to one try: 304 is one, too.

        Raises:
            TuneryError: there is none, or it is a refusal.
        """
        return self._try(call, _headers_of(call, None), until, lambda _seconds: until)

    @contextmanager
    def stream(self, call: Call[bytes], until: float | None) -> Generator[Iterator[bytes] | None]:
        """Open a stream of events and yield its chunks as they come; None where no more will.

        Raises:
            TuneryError: it can't be opened, it broke, or nothing came for a while.
        """
        with _translated(self._client.base_url):
            first = _first_byte(until)
            with deadline(first):
                request = _build(self._client, call, _headers_of(call, None), STREAM_IDLE_SECONDS)
                response = self._client.send(request, stream=True)
            try:
                if response.status_code not in _STREAM_STATUSES:
                    with deadline(first):
                        _check(response, response.read())
                yield _chunks(response, first, until) if _has_more(response) else None
            finally:
                response.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _try(
        self,
        call: Call[Any],
        headers: Mapping[str, str],
        until: float | None,
        moved: Moved,
    ) -> Answer:
        with deadline(until), _translated(self._client.base_url):
            request = _build(self._client, call, headers, _seconds_until(until))
            if call.body is not None:
                request.stream = _SyncBody(call.body.open(), moved)
            response = self._client.send(request, stream=True)
            try:
                content = response.read()
            finally:
                response.close()
            return _check(response, content)


class AsyncSession:
    """Connections to one service, for one event loop."""

    def __init__(
        self, settings: ClientSettings, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.settings = settings
        self._budget = Budget()
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            headers=_headers(settings),
            transport=transport
            or httpx.AsyncHTTPTransport(limits=_LIMITS, verify=_verified(settings.url)),
            timeout=None,
            trust_env=False,
        )

    async def send(self, call: Call[T], policy: Policy, key: str | None = None) -> T:
        """Return the answer to a call. Raises like `Session.send`."""
        headers = _headers_of(call, key)
        tries = Tries(call, policy, self._budget)
        while True:
            try:
                value = _value(await self._try(call, headers, tries.until(), tries.moved), call)
            except TuneryError as failure:
                if tries.was_done_before(failure):
                    return decode(b"null", call.of)
                await asyncio.sleep(tries.after(failure))
            else:
                tries.succeeded()
                return value

    async def ask(self, call: Call[Any], until: float | None) -> Answer:
        """Return the answer to one try. Raises like `Session.ask`."""
        return await self._try(call, _headers_of(call, None), until, lambda _seconds: until)

    @asynccontextmanager
    async def stream(
        self, call: Call[bytes], until: float | None
    ) -> AsyncGenerator[AsyncIterator[bytes] | None]:
        """Open a stream of events and yield its chunks. Raises like `Session.stream`."""
        with _translated(self._client.base_url):
            first = _first_byte(until)
            async with _ends(first):
                request = _build(self._client, call, _headers_of(call, None), STREAM_IDLE_SECONDS)
                response = await self._client.send(request, stream=True)
            try:
                if response.status_code not in _STREAM_STATUSES:
                    async with _ends(first):
                        _check(response, await response.aread())
                yield _async_chunks(response, first, until) if _has_more(response) else None
            finally:
                await response.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _try(
        self,
        call: Call[Any],
        headers: Mapping[str, str],
        until: float | None,
        moved: Moved,
    ) -> Answer:
        with _translated(self._client.base_url):
            async with _ends(until) as end:
                request = _build(self._client, call, headers, _seconds_until(until))
                if call.body is not None:
                    request.stream = _AsyncBody(call.body.open(), moved, end)
                response = await self._client.send(request, stream=True)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
                return _check(response, content)


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's own, over a network that knows the deadline of the call."""

    def __init__(self, url: str) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_verified(url) or None,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=DeadlineBackend(),
        )


class _SyncBody(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes], moved: Moved) -> None:
        self._chunks = chunks
        self._moved = moved

    def __iter__(self) -> Iterator[bytes]:
        began = time.monotonic()
        for chunk in self._chunks:
            yield chunk
            now = time.monotonic()
            put_off(self._moved(now - began))
            began = now


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, chunks: Iterator[bytes], moved: Moved, end: asyncio.Timeout) -> None:
        self._chunks = chunks
        self._moved = moved
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        began = time.monotonic()
        # A read from the disk may block for a moment: not in the event loop.
        while (chunk := await asyncio.to_thread(next, self._chunks, None)) is not None:
            yield chunk
            now = time.monotonic()
            self._end.reschedule(_of_this_loop(self._moved(now - began)))
            began = now


# The pool never waits: whoever wants more connections than this has a bug, or an attack in mind.
_LIMITS = httpx.Limits(
    max_connections=MAX_CONNECTIONS, max_keepalive_connections=20, keepalive_expiry=5.0
)


def _verified(url: str) -> Any:
    # Reading the certificates takes 20 ms, which http:// needs not.
    return httpx.create_ssl_context() if url.startswith("https") else False


def _headers(settings: ClientSettings) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {settings.api_key}",
        "Accept": "application/json",
        "Accept-Language": settings.language,
        "User-Agent": f"tunery-python/{__version__}",
    }


def _headers_of(call: Call[Any], key: str | None) -> dict[str, str]:
    """Return the headers of every try of a call: one request id and one key for all of them.

    Raises:
        InvalidArgument: the key is none that the service takes.
    """
    headers = {**call.headers, "X-Request-Id": f"req_{uuid.uuid4().hex}"}
    if call.creates:
        key = uuid.uuid4().hex if key is None else key
        if not _KEY.fullmatch(key):
            raise InvalidArgument(f"idempotency_key={key!r}: give 1 to 200 printable ASCII letters")
        headers["Idempotency-Key"] = key
    return headers


def _build(
    client: "httpx.Client | httpx.AsyncClient",
    call: Call[Any],
    headers: Mapping[str, str],
    seconds: float,
) -> httpx.Request:
    headers = dict(headers)
    if call.patient and call.body is None:
        headers["X-Request-Timeout-Ms"] = str(max(1, min(600_000, round(seconds * 1000))))
    if call.body is not None and call.body.size_bytes is not None:
        headers["Content-Length"] = str(call.body.size_bytes)
    elif call.body is not None:
        headers["Transfer-Encoding"] = "chunked"
    return client.build_request(
        call.method,
        call.path,
        params=call.query,
        headers=headers,
        content=call.content,
        timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
    )


def _chunks(response: httpx.Response, first: float | None, until: float | None) -> Iterator[bytes]:
    # Each read has its deadline; none is left set while the caller looks at what was read.
    chunks = response.iter_bytes()
    while True:
        with deadline(first):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk
        first = until


async def _async_chunks(
    response: httpx.Response, first: float | None, until: float | None
) -> AsyncIterator[bytes]:
    chunks = response.aiter_bytes()
    while True:
        async with _ends(first):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk
        first = until


def _first_byte(until: float | None) -> float:
    first = time.monotonic() + STREAM_FIRST_BYTE_SECONDS
    return first if until is None else min(first, until)


def _seconds_until(until: float | None) -> float:
    return IDLE_SECONDS if until is None else max(0.001, until - time.monotonic())


def _ends(until: float | None) -> asyncio.Timeout:
    return asyncio.timeout(None if until is None else max(0.0, until - time.monotonic()))


def _of_this_loop(until: float | None) -> float | None:
    return None if until is None else asyncio.get_running_loop().time() + until - time.monotonic()


@contextmanager
def _translated(url: httpx.URL) -> Generator[None]:
    """Turn httpx's errors into ours."""
    place = str(url).rstrip("/")
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ConnectionFailed(_described(error), url=place, sent=False) from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise TimedOut(f"no answer in time: {_described(error)}") from error
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise TuneryError(f"this can't be sent: {_described(error)}") from error
    except httpx.DecodingError as error:
        raise InvalidAnswer(f"the answer can't be unpacked: {_described(error)}") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise ConnectionFailed(_described(error), url=place) from error


def _described(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check(response: httpx.Response, content: bytes) -> Answer:
    """Return the answer, where it is none of a refusal."""
    status = response.status_code
    if 200 <= status < 300 or status == 304:
        return Answer(status=status, etag=response.headers.get("etag"), content=content)
    raise _refusal(response, content)


def _has_more(response: httpx.Response) -> bool:
    """Return whether a stream follows: 204 says that the last event was had already."""
    if response.status_code == 204:
        return False
    media_type = response.headers.get("content-type", "")
    if response.status_code == 406 or not media_type.startswith(EVENT_STREAM):
        raise InvalidAnswer(f"the answer is {media_type or 'untyped'}, not {EVENT_STREAM}")
    return True


def _refusal(response: httpx.Response, content: bytes) -> ApiError:
    status = response.status_code
    family = family_of(status)
    wait = retry_after_seconds(response.headers.get("retry-after"))
    request_id = response.headers.get("x-request-id")
    try:
        problem = decode(content, Problem)
    except InvalidAnswer:
        # Not ours: a proxy between.
        text = " ".join(content.decode(errors="replace").split())[:_SHOWN_CHARACTERS]
        message = f"HTTP {status} {response.reason_phrase}: {text}".rstrip(": ")
        return family(message, status=status, request_id=request_id, retry_after_seconds=wait)
    return class_of(problem.code, family)(
        problem.detail,
        status=status,
        code=problem.code,
        hint=problem.hint,
        errors=problem.errors,
        request_id=problem.instance or request_id,
        retry_after_seconds=wait,
    )


def _value(answer: Answer, call: Call[T]) -> T:
    if call.text:
        return cast("T", answer.content.decode(errors="replace"))
    content = answer.content or b"null"  # 204 has no content
    if call.lines:
        content = b"[" + b",".join(answer.content.splitlines()) + b"]"
    return decode(content, call.of)
