"""Connections that do not speak, do not listen, or are too many."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from tunery_server import connections
from tunery_server.connections import Connections, ImpatientProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(app: App) -> AsyncIterator[int]:
    """Serve an application; yield the port."""
    config = uvicorn.Config(app, http=ImpatientProtocol, lifespan="off", log_config=None)
    config.load()
    state = Connections()
    server = await asyncio.get_running_loop().create_server(
        lambda: ImpatientProtocol(config, state, {}), "127.0.0.1", 0
    )
    async with server, asyncio.timeout(20):
        yield server.sockets[0].getsockname()[1]


async def nobody(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("no request was made")


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HT", b"\r\n"])
def test_silent_connection_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)

    async def body() -> bytes:
        async with listening(nobody) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            received = await reader.read()
            writer.close()
            await writer.wait_closed()
            return received

    assert asyncio.run(body()) == b""


def test_client_that_does_not_read_a_stream_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.1)
    gone = asyncio.Event()

    async def stream(_scope: Any, receive: Any, send: Any) -> None:
        """Send without end, as an event stream does, until the client has gone."""
        hang_up = asyncio.create_task(until_gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not hang_up.done():
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)
        gone.set()

    async def body() -> None:
        async with listening(stream) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(REQUEST)
            await gone.wait()
            writer.transport.abort()

    asyncio.run(body())

    assert gone.is_set()


@pytest.mark.parametrize("header", [b"", b"connection: close\r\n"])
def test_client_that_does_not_read_its_answer_is_closed(
    header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.1)
    lost = asyncio.Event()
    monkeypatch.setattr(ImpatientProtocol, "connection_lost", noticed(lost))

    async def large(_scope: Any, _receive: Any, send: Any) -> None:
        size = 64 << 20  # beyond what the kernel holds
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    async def body() -> None:
        async with listening(large) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n"))
            await lost.wait()
            writer.transport.abort()

    asyncio.run(body())

    assert lost.is_set()


def test_connections_of_one_address_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 2)

    async def empty(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def body() -> list[bytes]:
        async with listening(empty) as port:
            answers, writers = [], []
            for turn in range(4):
                if turn == 3:
                    writers[0].close()
                    await writers[0].wait_closed()
                    await asyncio.sleep(0.05)  # until the server has seen it
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                writer.write(REQUEST)
                try:
                    answers.append(await reader.readline())
                except ConnectionResetError:
                    answers.append(b"")
            for writer in writers:
                writer.transport.abort()
            return answers

    served = b"HTTP/1.1 204 No Content\r\n"
    assert asyncio.run(body()) == [served, served, b"", served]


async def until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def noticed(event: asyncio.Event) -> Callable[[ImpatientProtocol, Exception | None], None]:
    """Return a connection_lost that also sets an event."""
    original = ImpatientProtocol.connection_lost

    def connection_lost(self: ImpatientProtocol, exc: Exception | None) -> None:
        original(self, exc)
        event.set()

    return connection_lost
