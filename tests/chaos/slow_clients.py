"""Clients that hold connections: silent, slow to send, or not reading what they have asked for."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import http
from tests.chaos.overload import p99
from tests.e2e import service as e2e

PATIENCE_SECONDS = 120.0
HEAD = b"POST /datasets HTTP/1.1\r\nHost: 127.0.0.1\r\n"
Shape = Callable[[e2e.Service, http.Streams], Coroutine[Any, Any, None]]


@dataclass
class Held:
    """How long the service let itself be held by one shape of client."""

    shape: str
    closed: list[float] = field(default_factory=list)  # seconds until it had closed each
    never: int = 0
    latencies: list[float] = field(default_factory=list)  # of a good client meanwhile

    def line(self) -> str:
        """Return it in one line."""
        longest = max(self.closed, default=0.0)
        return (
            f"{self.shape}: {len(self.closed)} closed, the last after {longest:.1f} s, "
            f"{self.never} never; a good client meanwhile: {len(self.latencies)} answers, p50 "
            f"{statistics.median(self.latencies) * 1000:.1f} ms, p99 "
            f"{p99(self.latencies) * 1000:.1f} ms"
        )


async def hold(service: e2e.Service, shape: str, *, clients: int, model: str) -> Held:
    """Let so many clients of a shape hold the service; a good one predicts meanwhile."""
    held = Held(shape)
    ended = asyncio.Event()
    good = asyncio.create_task(_predict(service, model, ended, held))
    await asyncio.gather(*(_until_closed(service, SHAPES[shape], held) for _ in range(clients)))
    ended.set()
    await good
    return held


async def _until_closed(service: e2e.Service, shape: Shape, held: Held) -> None:
    streams = await http.connect(service)
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with contextlib.suppress(ConnectionError):
                await shape(service, streams)
    except TimeoutError:
        held.never += 1
    else:
        held.closed.append(time.monotonic() - began)
    finally:
        streams[1].transport.abort()


async def _predict(service: e2e.Service, model: str, ended: asyncio.Event, held: Held) -> None:
    body = {"model": model, "inputs": ["where is it"]}
    sent = http.request(service, "POST", "/predict", body)
    while not ended.is_set():
        began = time.monotonic()
        assert (await http.ask(service, sent)).status == 200
        held.latencies.append(time.monotonic() - began)
        await asyncio.sleep(0.02)


async def _silent(_service: e2e.Service, streams: http.Streams) -> None:
    await streams[0].read()


async def _half_a_header(_service: e2e.Service, streams: http.Streams) -> None:
    streams[1].write(HEAD)
    await streams[0].read()


async def _header_by_bytes(_service: e2e.Service, streams: http.Streams) -> None:
    await _trickle(streams, HEAD + b"X: " + b"a" * 10_000)


async def _no_body(service: e2e.Service, streams: http.Streams) -> None:
    streams[1].write(_head_of_json(service, 1000))
    await streams[0].read()


async def _body_by_bytes(service: e2e.Service, streams: http.Streams) -> None:
    streams[1].write(_head_of_json(service, 10_000))
    await _trickle(streams, b" " * 10_000)


async def _unread(service: e2e.Service, streams: http.Streams) -> None:
    """Ask for one large answer after the other, and read none."""
    streams[1].transport.pause_reading()  # type: ignore[attr-defined]  # it is a read transport, too
    while not streams[1].transport.is_closing():
        streams[1].write(http.request(service, "GET", "/openapi.json") * 20)
        await streams[1].drain()
        await asyncio.sleep(0.5)


async def _trickle(streams: http.Streams, data: bytes) -> None:
    reading = asyncio.create_task(streams[0].read())
    for byte in data:
        streams[1].write(bytes([byte]))
        done, _ = await asyncio.wait([reading], timeout=1.0)
        if done:
            break
    await reading


def _head_of_json(service: e2e.Service, size: int) -> bytes:
    return http.request(
        service,
        "POST",
        "/datasets",
        Content_Type="application/json",
        Content_Length=str(size),
    )


SHAPES: dict[str, Shape] = {
    "silent": _silent,
    "half a header": _half_a_header,
    "a header, a byte a second": _header_by_bytes,
    "no body": _no_body,
    "a body, a byte a second": _body_by_bytes,
    "answers unread": _unread,
}
