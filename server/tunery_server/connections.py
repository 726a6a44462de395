"""HTTP connections: uvicorn's protocol, closing those that do not speak or do not listen.

uvicorn 0.54 holds a connection that never finishes its header open for ever (measured), and waits
as long for a client that does not read its answer.
"""

import asyncio
from collections import Counter
from typing import cast

import uvicorn.server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

IDLE_SECONDS = 30.0  # without a byte
HEADER_SECONDS = 10.0  # from the first byte of a request to the end of its header
READ_SECONDS = 30.0  # for a client to read what is written: some 64 KiB at least
MAX_PER_ADDRESS = 2048  # connections of one client to one worker


class Connections(uvicorn.server.ServerState):
    """The connections of one worker."""

    def __init__(self) -> None:
        super().__init__()
        self.by_address: Counter[str] = Counter()


class ImpatientProtocol(HttpToolsProtocol):
    """Gives a client 30 seconds to begin a request, 10 to finish its header, 30 to read on."""

    server_state: Connections
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_header = False
    _address = ""

    @property
    def _in_request(self) -> bool:
        # uvicorn's annotation hides that there is no cycle before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first byte; close where the client has too many connections."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = self.client[0] if self.client else ""
        self.server_state.by_address[self._address] += 1
        if self.server_state.by_address[self._address] > MAX_PER_ADDRESS:
            self.transport.abort()
            return
        self._arm(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._disarm()
        self._has_read()
        self.server_state.by_address[self._address] -= 1
        if not self.server_state.by_address[self._address]:
            del self.server_state.by_address[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin to wait for the end of the header, where none of a request is being read."""
        if not self._in_header and not self._in_request:
            self._in_header = True
            self._arm(HEADER_SECONDS)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Stop waiting: the body has a pace of its own to keep, see limits."""
        self._in_header = False
        self._disarm()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the client to read the end of an answer after which it is closed."""
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._expect_reading()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """Stop waiting: it has read."""
        super().resume_writing()
        self._has_read()

    def timeout_keep_alive_handler(self) -> None:
        """Close; whoever has not read the last answer by now does not get the rest of it."""
        self.transport.abort()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expect_reading(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(READ_SECONDS, self._give_up)

    def _has_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        self.transport.abort()  # to close would wait for what is not read
