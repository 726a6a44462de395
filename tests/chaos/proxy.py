"""A proxy that breaks things: HTTP/1.1 in, one fault or none per request, HTTP/1.1 out.

Stands in front of a real service. It knows requests and answers, so that a fault hits a chosen
place of one; it knows nothing of tunery. Answers are read whole, so event streams do not pass.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate

import msgspec

DRIP_SECONDS = 0.05  # from one byte to the next
NONE = "none"
# Of a thousand requests, how many meet which fault.
WEIGHTS: Mapping[str, int] = {
    NONE: 775,
    "reset-before-reading": 20,
    "reset-in-request": 20,
    "reset-before-answer": 25,
    "reset-in-headers": 20,
    "reset-in-body": 20,
    "black-hole": 6,
    "502": 20,
    "503": 10,
    "503-retry-after": 6,
    "429": 10,
    "429-retry-after": 6,
    "502-after": 20,
    "truncated": 13,  # with a Content-Length that fits
    "cut-short": 13,  # with one that does not
    "drip": 6,
    "close-idle": 10,  # the answer comes, and then the connection ends unasked
}
_NOT_FORWARDED = ("502", "503", "503-retry-after", "429", "429-retry-after")
_IN_A_BODY = ("reset-in-body", "truncated", "cut-short")
_REASONS = {"502": "Bad Gateway", "503": "Service Unavailable", "429": "Too Many Requests"}
_PROBLEMS = {
    "502": b'{"type":"about:blank","title":"Bad Gateway","status":502}',
    "503": b'{"type":"about:blank","title":"The service is stopping.","status":503,'
    b'"detail":"draining","code":"draining","hint":"","errors":[],"instance":"req_0"}',
    "429": b'{"type":"about:blank","title":"Too many requests.","status":429,'
    b'"detail":"slow down","code":"rate-limited","hint":"","errors":[],"instance":"req_0"}',
}


class Message(msgspec.Struct, frozen=True):
    """A request or an answer: its head with the empty line, and its body as it is on the wire."""

    head: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        """All its bytes."""
        return self.head + self.body


class ChaosProxy:
    """Forwards to one port of this machine, not always."""

    def __init__(self, port: int, *, seed: int, weights: Mapping[str, int] = WEIGHTS) -> None:
        self.faults: Counter[str] = Counter()
        self.url = ""
        self._port = port
        self._random = random.Random(seed)
        self._weights = weights
        self._forwarding = 0
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> int:
        """How many requests have come."""
        return self.faults.total()

    @property
    def is_idle(self) -> bool:
        """Whether the service has answered all that was forwarded."""
        return self._forwarding == 0

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        server = await asyncio.start_server(self._connected, sock=listening, limit=2**20)
        await stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # A peer may go away at any point: that is what this is about.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._pass_one(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # of `serve`: it is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _pass_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request; return whether the connection may have another."""
        first = await reader.readexactly(1)
        (fault,) = self._random.choices([*self._weights], [*self._weights.values()])
        if fault == "reset-before-reading":
            self.faults[fault] += 1
            _reset(writer)
            return False
        request = await _read(reader, first)
        if fault in _NOT_FORWARDED:
            self.faults[fault] += 1
            return await _send(writer, self._refusal(fault).whole)
        if fault == "reset-in-request":
            self.faults[fault] += 1
            await self._forward_half(request)
            _reset(writer)
            return False
        answer = await self._forward(request)
        if not answer.body and fault in _IN_A_BODY:
            fault = "reset-in-headers"
        self.faults[fault] += 1
        return await self._deliver(answer, fault, reader, writer)

    async def _deliver(
        self,
        answer: Message,
        fault: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        half = answer.body[: len(answer.body) // 2]
        match fault:
            case "black-hole":
                await reader.read()
            case "reset-before-answer":
                _reset(writer)
            case "reset-in-headers":
                await _send(writer, answer.head[: len(answer.head) // 2], reset=True)
            case "reset-in-body":
                await _send(writer, answer.head + half, reset=True)
            case "cut-short":
                await _send(writer, answer.head + half)
            case "close-idle":
                await _send(writer, answer.whole)
            case "drip":
                for byte in answer.whole:
                    await _send(writer, bytes([byte]))
                    await asyncio.sleep(DRIP_SECONDS)
            case "502-after":
                return await _send(writer, self._refusal("502").whole)
            case "truncated":
                return await _send(writer, _with_length(answer.head, len(half)) + half)
            case _:
                return await _send(writer, answer.whole)
        return False

    async def _forward(self, request: Message) -> Message:
        async with self._service() as (reader, writer):
            writer.write(_closing(request.head) + request.body)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.read()
        lines = [line for line in head.split(b"\r\n") if line.lower() != b"connection: close"]
        return Message(b"\r\n".join(lines), body)

    async def _forward_half(self, request: Message) -> None:
        async with self._service() as (_, writer):
            sent = request.head + request.body[: len(request.body) // 2]
            writer.write(sent if request.body else sent[: len(sent) // 2])
            await writer.drain()
            await asyncio.sleep(0.02)  # the service gets it before the reset
            _reset(writer)

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        self._forwarding += 1
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            try:
                yield reader, writer
            finally:
                writer.close()
        finally:
            self._forwarding -= 1

    def _refusal(self, fault: str) -> Message:
        status = fault[:3]
        media_type, body = self._random.choice(
            [
                (b"text/html", b"<html><h1>%s</h1></html>" % _REASONS[status].encode()),
                (b"application/problem+json", _PROBLEMS[status]),
            ]
        )
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}".encode(),
            b"Content-Type: " + media_type,
            f"Content-Length: {len(body)}".encode(),
        ]
        if fault.endswith("-retry-after"):
            later = self._random.choice(["0", "1", "120", formatdate(usegmt=True)])
            lines.append(f"Retry-After: {later}".encode())
        return Message(b"\r\n".join([*lines, b"", b""]), body)


@contextmanager
def broken_network(
    port: int, *, seed: int, weights: Mapping[str, int] = WEIGHTS
) -> Iterator[ChaosProxy]:
    """Run a proxy to a port, in a thread, for the length of a block."""
    proxy = ChaosProxy(port, seed=seed, weights=weights)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    proxy.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(proxy.serve(listening, stop))

    thread = threading.Thread(target=run, name="chaos-proxy")
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


async def _read(reader: asyncio.StreamReader, first: bytes) -> Message:
    head = first + await reader.readuntil(b"\r\n\r\n")
    fields = _fields(head)
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        return Message(head, await _read_chunks(reader))
    return Message(head, await reader.readexactly(int(fields.get(b"content-length", b"0"))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        size = await reader.readuntil(b"\r\n")
        parts += [size, await reader.readexactly(int(size, 16) + 2)]
        if int(size, 16) == 0:
            return b"".join(parts)


def _fields(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _closing(head: bytes) -> bytes:
    """Return a request's head that asks for the end of the connection after the answer."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _with_length(head: bytes, size_bytes: int) -> bytes:
    lines = [
        line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")
    ]
    return b"\r\n".join([lines[0], f"Content-Length: {size_bytes}".encode(), *lines[1:]])


async def _send(writer: asyncio.StreamWriter, content: bytes, *, reset: bool = False) -> bool:
    writer.write(content)
    await writer.drain()
    if reset:
        await asyncio.sleep(0.02)  # the peer gets it before the reset
        _reset(writer)
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST in place of a FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
