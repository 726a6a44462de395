"""HTTP/1.1 by hand, for tests that count what a client library would hide."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.e2e import service as e2e

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as what it says."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.json["code"])


async def connect(service: e2e.Service) -> Streams:
    """Open a connection."""
    return await asyncio.open_connection("127.0.0.1", service.port)


def request(
    service: e2e.Service, method: str, path: str, body: Any = None, **headers: str
) -> bytes:
    """Return the bytes of a request with the admin key; a header's `_` stands for `-`.

    A body that is bytes is sent as it is, declared as JSON.
    """
    key = (service.data_dir / "admin.key").read_text().strip()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}"]
    content = b""
    if body is not None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def answer(reader: asyncio.StreamReader) -> Answer:
    """Read an answer.

    Raises:
        ConnectionError: the connection ended before it.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the connection ended before its answer") from error
    return Answer(int(head[0].split()[1]), headers, body)


async def ask(service: e2e.Service, sent: bytes) -> Answer:
    """Send a request on a connection of its own."""
    reader, writer = await connect(service)
    try:
        writer.write(sent)
        return await answer(reader)
    finally:
        writer.transport.abort()
