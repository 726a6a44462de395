"""Figures of the whole service: what each process has counted, and how that comes together.

An API worker counts the predictions that it answers and shows its counts on a Unix socket. The
supervisor reads those of all workers and engines, keeps what ended ones had counted, and shows the
sum on a socket of its own; so any worker can answer for all of them. Knows neither HTTP nor
Prometheus.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tunery_trainer.protocol.figures import SECONDS, EngineFigures, Histogram

T = TypeVar("T")

SERVICE = "figures.sock"
WORKER = "fig-{pid}.sock"  # short: see start.MAX_SOCKET_PATH
WORKERS = "fig-*.sock"

Owner = tuple[str, str]  # project, deployment
Seconds = dict[tuple[str, str, str], Histogram]  # by project, deployment and how it ended


class WorkerFigures(msgspec.Struct, kw_only=True):
    """What an API worker has counted: whole requests, by the code of the answer."""

    resident_bytes: int = 0
    predictions: Seconds = {}


class EngineState(msgspec.Struct, kw_only=True, frozen=True):
    """What one engine holds now."""

    owner: Owner
    held_tokens: int
    oldest_seconds: float
    resident_bytes: int
    device_bytes: int


class ServiceFigures(msgspec.Struct, kw_only=True, frozen=True):
    """The service now, and what was counted since it began; `engines` only those that answered."""

    resident_bytes: int  # of the supervisor
    workers: list[int]  # resident bytes of each
    predictions: Seconds
    engines: list[EngineState]
    done: dict[Owner, EngineFigures]
    swaps: Seconds
    deaths: dict[Owner, int]  # of engines
    slots: dict[str, bool]  # whether a job runs on each device
    artifact_bytes: dict[str, int]  # by folder; empty where they stand in an object store
    free_bytes: int  # of the data directory's disk


def observe(seconds: Seconds, key: tuple[str, str, str], value: float) -> None:
    """Count how long something took."""
    histogram = seconds.get(key)
    if histogram is None:
        histogram = seconds[key] = Histogram.over(SECONDS)
    histogram.observe(value)


def add(total: Seconds, part: Seconds) -> None:
    """Count what another process has observed."""
    for key, histogram in part.items():
        total.setdefault(key, Histogram.over(histogram.bounds)).add(histogram)


async def show(path: Path, figures: Callable[[], Awaitable[msgspec.Struct]]) -> asyncio.Server:
    """Let whoever connects to a socket read the figures of that moment."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.msgpack.encode(await figures()))
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            writer.close()

    return await asyncio.start_unix_server(answer, path)


async def read(path: Path, of: type[T], *, timeout_seconds: float) -> T:
    """Return the figures that a socket shows.

    Raises:
        OSError: nobody is there, or no answer came in time.
    """
    async with asyncio.timeout(timeout_seconds):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            body = await reader.read()
        finally:
            writer.close()
    if not body:
        raise ConnectionResetError(str(path))
    return msgspec.msgpack.decode(body, type=of)
