"""A service that listens: what a test makes up, behind a real socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from tests.client.answers import Handler


@contextmanager
def listening(handler: Handler) -> Iterator[str]:
    """Yield the URL of a service that answers as `handler` does."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = handler(
                httpx.Request(
                    self.command, url + self.path, headers=dict(self.headers), content=content
                )
            )
            self.send_response(found.status_code)
            for name, value in found.headers.items():
                self.send_header(name, value)
            if "content-length" not in found.headers:
                self.send_header("Content-Length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
