"""One connection to an engine: requests go out as they come, answers come back by id."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

import msgspec

from tunery_server.problems import Refusal
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.wire import AnyMessage, AnyReply, Cancel, FrameTooLarge

_BYTES_PER_TOKEN = 4  # of a request on the wire, about
_MAX_UNSENT_BYTES = 16 * 1024 * 1024  # beyond it the engine does not read: refuse, do not hoard


class Connection:
    """A connection with its open requests."""

    def __init__(
        self,
        socket: str,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.socket = socket
        self._held_tokens = 0  # as the engine said last, and about what was sent since
        self._reader, self._writer = streams
        self._on_lost = on_lost
        self._open: dict[int, asyncio.Future[AnyReply]] = {}
        self._reading = asyncio.create_task(self._read(), name=f"engine {socket}")

    @classmethod
    async def open(cls, socket: str, on_lost: Callable[["Connection"], None]) -> Self:
        """Connect.

        Raises:
            ConnectionRefusedError: nobody listens there.
        """
        try:
            streams = await asyncio.open_unix_connection(socket)
        except OSError as error:
            raise ConnectionRefusedError(socket) from error
        return cls(socket, streams, on_lost)

    @property
    def load(self) -> int:
        """How many tokens the engine has to do; of one that owes no answer nothing is known."""
        return self._held_tokens if self._open else 0

    def send(self, message: AnyMessage) -> asyncio.Future[AnyReply]:
        """Send a request; the future is its last frame.

        Raises:
            ConnectionAbortedError: the connection is lost; where it is lost later, the future
                fails with ConnectionResetError.
            Refusal: the engine has stopped reading.
        """
        transport = self._writer.transport
        if transport.is_closing() or self._reading.done():
            raise ConnectionAbortedError(self.socket)
        if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            raise Refusal("overloaded", "its engine does not read")
        answer: asyncio.Future[AnyReply] = asyncio.get_running_loop().create_future()
        self._open[message.id] = answer
        frame = wire.encode(message)
        self._held_tokens += len(frame) // _BYTES_PER_TOKEN
        self._writer.write(frame)
        return answer

    def forget(self, cancel: Cancel) -> None:
        """Give a request up and tell the engine."""
        self._open.pop(cancel.id, None)
        if not self._writer.transport.is_closing():
            self._writer.write(wire.encode(cancel))

    async def close(self) -> None:
        """Close; open requests fail."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        try:
            while (reply := await wire.read_reply(self._reader)) is not None:
                self._held_tokens = reply.held_tokens
                if not reply.final:
                    continue
                answer = self._open.pop(reply.id, None)
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (FrameTooLarge, msgspec.DecodeError):
            pass  # the other end is no engine of this version: as good as lost
        finally:
            self._writer.close()
            self._on_lost(self)
            for answer in self._open.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError(self.socket))
            self._open.clear()
