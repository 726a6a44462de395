"""The socket server of engines and of the reader: frames in, frames out, one user.

Owns the socket, its permissions and the check of who connects. Knows no message but its frame.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from tunery_trainer.protocol import wire

_FLUSH_SECONDS = 1.0  # for the last replies to a peer that is slow to read them
_PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of linux/socket.h
_log = logging.getLogger(__name__)


class Connection:
    """One peer; used from the loop's thread only."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def send(self, reply: wire.AnyReply) -> None:
        """Send a frame, unless the peer has gone; one that is too large is refused instead."""
        if self._writer.is_closing():
            return
        frame = wire.encode(reply)
        if len(frame) > wire.MAX_FRAME_BYTES:
            message = "the answer is too large; ask for less"
            refused = wire.Refused(id=reply.id, code="batch-too-large", message=message)
            frame = wire.encode(refused)
        self._writer.write(frame)


class Service(Protocol):
    """What answers; called in the loop's thread."""

    def received(self, connection: Connection, message: wire.AnyMessage) -> None:
        """Answer a message, now or later."""
        ...

    def disconnected(self, connection: Connection) -> None:
        """Forget the peer."""
        ...


async def serve(
    path: Path, service: Service, *, on_listening: Callable[[], None], stop: asyncio.Event
) -> None:
    """Answer connections on a Unix socket until `stop` is set; those that are open then close."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            # Cancelled below only; asyncio logs a cancelled connection as a fault (3.11).
            with contextlib.suppress(asyncio.CancelledError):
                await _converse(service, reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_unix_server(connected, sock=_bound(path))
    on_listening()
    await stop.wait()
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


def following(event: threading.Event) -> asyncio.Event:
    """Return an event of the running loop that is set when a thread's event is."""
    loop = asyncio.get_running_loop()
    follower = asyncio.Event()

    def follow() -> None:
        event.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(follower.set)

    threading.Thread(target=follow, name="follower", daemon=True).start()
    return follower


def _bound(path: Path) -> socket.socket:
    """Return a socket that nobody can connect to yet, its permissions set."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(0o600)
    return bound


async def _converse(
    service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    connection = Connection(writer)
    try:
        if _uid_of_peer(writer) != os.getuid():
            return
        while (message := await wire.read_message(reader)) is not None:
            service.received(connection, message)
            await writer.drain()  # who does not read its answers is not read from, either
    except (wire.FrameTooLarge, msgspec.DecodeError) as error:
        _log.warning("a connection is closed: %s", error)
    except ConnectionError:
        pass
    finally:
        service.disconnected(connection)
        writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await writer.wait_closed()


def _uid_of_peer(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    _pid, uid, _gid = _PEER_CREDENTIALS.unpack(data)
    return int(uid)
