"""HTTP connections: uvicorn's protocol, closing those that do not speak.

uvicorn 0.54 holds a connection that never finishes its header open for ever (measured).
"""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

IDLE_SECONDS = 30.0  # without a byte
HEADER_SECONDS = 10.0  # from the first byte of a request to the end of its header


class ImpatientProtocol(HttpToolsProtocol):
    """Gives a client 30 seconds to begin a request and 10 to finish its header."""

    _deadline: asyncio.TimerHandle | None = None
    _in_header = False

    @property
    def _in_request(self) -> bool:
        # uvicorn's annotation hides that there is no cycle before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first byte."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._arm(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._disarm()
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

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self.transport.close()
