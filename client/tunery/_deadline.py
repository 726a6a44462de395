"""Deadlines of blocking calls: a peer that sends a byte now and then can't stretch one.

A timeout of a socket counts from the last byte, so a slow drip would never end a call. This
network backend gives each read and write what is left until the deadline of the calling thread.
The asynchronous client needs none of this: `asyncio.timeout` ends anything.
"""

import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpcore

PIECE_BYTES = 16 * 1024  # a TLS record
_current = threading.local()


@contextmanager
def deadline(until: float | None) -> Generator[None]:
    """Let all network calls of this thread end at a moment of the monotonic clock."""
    before = getattr(_current, "until", None)
    _current.until = until
    try:
        yield
    finally:
        _current.until = before


def put_off(until: float | None) -> None:
    """Give the network calls of this thread another deadline, until the one around them ends."""
    _current.until = until


class DeadlineBackend(httpcore.NetworkBackend):
    """The network, with deadlines."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one address of the host after the other, all of them within the time.

        Raises:
            httpcore.ConnectError: none can be reached.
            httpcore.ConnectTimeout: the deadline has passed.
        """
        addresses = _addresses(host, port)
        left = _left(timeout, httpcore.ConnectTimeout)
        with deadline(None if left is None else time.monotonic() + left):
            # Shares: a silent address leaves time for those after it.
            for shares, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
                left = _left(None, httpcore.ConnectTimeout)
                share = None if left is None else left / shares
                try:
                    stream = self._backend.connect_tcp(
                        address, port, share, local_address, socket_options
                    )
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    if shares == 1:
                        raise
                else:
                    return _DeadlineStream(stream)
        raise httpcore.ConnectError(f"{host} has no address")


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # httpcore's own loop gives each part that gets away the whole time anew.
        for start in range(0, len(buffer), PIECE_BYTES):
            piece = buffer[start : start + PIECE_BYTES]
            self._stream.write(piece, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return [str(place[0]) for _, _, _, _, place in found]


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    until: float | None = getattr(_current, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(left, timeout)
