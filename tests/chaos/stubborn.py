"""Proxies that let no stream of events through, each in its own way.

What is no stream passes. A proxy that hoards gives an answer out when the service has ended it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

STREAM = "text/event-stream"
WAYS = (
    "refuses",  # 406 to whoever accepts nothing but a stream
    "strips",  # the service is asked for JSON
    "hoards",
    "hoards-bodies",  # the head of an answer passes at once
)
_PASSED_ON = ("authorization", "if-none-match", "last-event-id", "cache-control")


class StubbornProxy(ThreadingHTTPServer):
    """Stands before one service; counts the lists of events that it was asked for."""

    daemon_threads = True

    def __init__(self, upstream: str, way: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.way = way
        self.lists = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def stubborn_network(upstream: str, way: str) -> Iterator[StubbornProxy]:
    """Run a proxy in a thread for the length of a block."""
    with StubbornProxy(upstream, way) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), name=f"proxy-{way}")
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubbornProxy

    def do_GET(self) -> None:
        accepted = self.headers.get("Accept", "")
        streams = STREAM in accepted
        if streams and self.server.way == "refuses":
            self._head(406, "text/plain", 0)
            return
        if not streams and "/events" in self.path:
            self.server.lists += 1
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        headers["Accept"] = "application/json" if self.server.way == "strips" else accepted
        url = self.server.upstream + self.path
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            early = streams and self.server.way == "hoards-bodies"
            media_type = answer.headers["Content-Type"]
            if early:
                self.close_connection = True
                self._head(answer.status_code, media_type, None)
                self.wfile.flush()
            body = answer.read()
            if not early:
                self._head(answer.status_code, media_type, len(body))
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client has not waited for it

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _head(self, status: int, media_type: str, size_bytes: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        if size_bytes is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(size_bytes))
        self.end_headers()
