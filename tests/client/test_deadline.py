"""The total time of a call holds, whatever the peer does: a real socket that drips or is silent."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest

from tunery import AsyncClient, Client
from tunery._deadline import _DeadlineStream, _left, deadline
from tunery.errors import ConnectionFailed, TimedOut

DRIP_SECONDS = 0.03
LONGEST_SECONDS = 20.0  # that the peer goes on: a client without a deadline fails, not hangs
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
REFUSAL = b"HTTP/1.1 503 No\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

# What is sent at once, and what drips.
PEERS = {
    "in the headers": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
    "in the body": (HEADERS + b"\r\n", b" "),
    "not at all": (b"", b""),
}


@contextmanager
def peer(at_once: bytes, drip: bytes) -> Iterator[str]:
    """Yield the URL of a peer that answers every connection like this."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(at_once)
            while time.monotonic() < until and not ended.wait(DRIP_SECONDS):
                connection.sendall(drip)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                if ended.is_set():
                    connection.close()
                    return
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    port = listener.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.set()
        socket.create_connection(("127.0.0.1", port)).close()  # ends the accept
        accepting.join(10)
        for thread in threads:
            thread.join(10)
        listener.close()


@pytest.mark.parametrize("where", PEERS)
def test_a_call_ends_in_time(where: str) -> None:
    with (
        peer(*PEERS[where]) as url,
        Client(url, api_key="tnr_1_a", timeout=0.5, max_retries=0) as client,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut):
            client.live()

        assert time.monotonic() - began < 10.0


@pytest.mark.parametrize("where", PEERS)
def test_an_awaited_call_ends_in_time(where: str) -> None:
    async def body(url: str) -> float:
        async with AsyncClient(url, api_key="tnr_1_a", timeout=0.5, max_retries=0) as client:
            began = time.monotonic()
            with pytest.raises(TimedOut):
                await client.live()
            return time.monotonic() - began

    with peer(*PEERS[where]) as url:
        assert asyncio.run(body(url)) < 10.0


def test_retries_do_not_lengthen_a_call() -> None:
    with (
        peer(*PEERS["in the body"]) as url,
        Client(url, api_key="tnr_1_a", timeout=0.5) as client,
    ):
        began = time.monotonic()
        with pytest.raises(TimedOut):
            client.live()

        assert time.monotonic() - began < 10.0


@pytest.mark.parametrize(
    ("at_once", "drip"), [(REFUSAL, b" "), (STREAM, b": beat\n\n"), (STREAM, b"")]
)
def test_events_end_in_time(at_once: bytes, drip: bytes) -> None:
    with peer(at_once, drip) as url, Client(url, api_key="tnr_1_a") as client:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            list(client.jobs.events("job_1", timeout=0.5))

        assert time.monotonic() - began < 10.0


@pytest.mark.parametrize(
    ("at_once", "drip"), [(REFUSAL, b" "), (STREAM, b": beat\n\n"), (STREAM, b"")]
)
def test_awaited_events_end_in_time(at_once: bytes, drip: bytes) -> None:
    async def body(url: str) -> float:
        async with AsyncClient(url, api_key="tnr_1_a") as client:
            began = time.monotonic()
            with pytest.raises(TimedOut):
                async for _ in client.jobs.events("job_1", timeout=0.5):
                    pass
            return time.monotonic() - began

    with peer(at_once, drip) as url:
        assert asyncio.run(body(url)) < 10.0


def test_a_body_that_gets_away_bit_by_bit_ends_in_time() -> None:
    pieces: list[int] = []

    class Slow(httpcore.NetworkStream):
        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            pieces.append(len(buffer))
            threading.Event().wait(DRIP_SECONDS)

    with deadline(time.monotonic() + 0.1), pytest.raises(httpcore.WriteTimeout):
        _DeadlineStream(Slow()).write(b"x" * 10_000_000, None)

    assert len(pieces) < 20


@contextmanager
def unreachable() -> Iterator[int]:
    """Yield a port of this machine that takes no more connections and refuses none."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name of a host stand for these addresses."""
    resolve = socket.getaddrinfo

    def found(host: str, port: int, *args: Any, **named: Any) -> Any:
        hosts = addresses if host == "many.test" else (host,)
        return [place for each in hosts for place in resolve(each, port, *args, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_a_host_of_many_silent_addresses_does_not_lengthen_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named(monkeypatch, *["127.0.0.1"] * 20)
    with unreachable() as port:
        url = f"http://many.test:{port}"
        with Client(url, api_key="tnr_1_a", timeout=0.5, max_retries=0) as client:
            began = time.monotonic()
            with pytest.raises(ConnectionFailed):
                client.live()

    assert time.monotonic() - began < 5.0


def test_a_silent_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "127.0.0.1", "127.0.0.2")
    with unreachable() as port, socket.create_server(("127.0.0.2", port)) as other:
        url = f"http://many.test:{port}"
        with Client(url, api_key="tnr_1_a", timeout=1.0, max_retries=0) as client:
            with pytest.raises(TimedOut):  # the other one is reached, and says nothing
                client.live()
            connection, _ = other.accept()
            connection.close()


def test_a_deadline_holds_for_its_own_thread_only() -> None:
    left: list[float | None] = []
    with deadline(time.monotonic() + 5.0):
        other = threading.Thread(target=lambda: left.append(_left(None, TimeoutError)))
        other.start()
        other.join(10)
        own = _left(None, TimeoutError)

    assert left == [None]
    assert own is not None
    assert 4.0 < own <= 5.0
    assert _left(None, TimeoutError) is None
