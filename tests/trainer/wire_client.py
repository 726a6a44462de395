"""A blocking client of the engine wire, for tests."""

import socket
from pathlib import Path

import msgspec

from tunery_trainer.protocol import wire

_DECODER = msgspec.msgpack.Decoder(wire.AnyReply)


class WireClient:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(path))

    def __enter__(self) -> "WireClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: wire.AnyMessage) -> None:
        """Send requests in one write."""
        self.socket.sendall(b"".join(map(wire.encode, messages)))

    def receive(self) -> wire.AnyReply:
        """Wait for the next reply."""
        return _DECODER.decode(self._read(int.from_bytes(self._read(4), "big")))

    def ask(self, message: wire.AnyMessage) -> wire.AnyReply:
        """Send a request, return the next reply."""
        self.send(message)
        return self.receive()

    def closed_by_peer(self) -> bool:
        """Wait for the end of the connection."""
        return self.socket.recv(1) == b""

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError("the engine has closed")
            data += chunk
        return data
