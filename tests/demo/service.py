"""A server for the demo, and how it is asked: plain HTTP, each question kept as a curl line.

Owns the server's process and its data directory's key. Knows the REST contract's manners (problems,
`?wait=`, ETags), and no resource of it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
MEDIA_TYPES = {".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}
READY_SECONDS = 120.0
STOP_SECONDS = 90.0  # the server lets its trainers save first


class Failed(Exception):
    """A step did not end as it should; the message says how."""


class Service:
    """A running server: asks it, waits for it, and remembers what was asked as curl lines."""

    def __init__(self, client: httpx.Client, server: "subprocess.Popen[bytes]") -> None:
        self._client = client
        self._server = server
        self._variables: dict[str, str] = {}  # id: shell variable that stands for it
        self.commands: list[str] = []

    def upload(self, path: Path, *, variable: str) -> Any:
        """Stream a file to the server."""
        media_type = MEDIA_TYPES.get(path.suffix.lower(), "text/csv")
        headers = {"Content-Type": media_type}
        url = f"/files?{httpx.QueryParams(name=path.name)}"
        with path.open("rb") as stream:
            answer = self._send(
                "POST", "/files", params={"name": path.name}, content=stream, headers=headers
            ).json()
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        self._keep(url, f"-H 'Content-Type: {media_type}' --data-binary '@{shown}'", variable)
        self._variables[answer["id"]] = variable
        return answer

    def post(self, path: str, body: Any, *, variable: str = "") -> Any:
        """Send JSON and return the answer, whose id is called `variable` in the curl lines."""
        text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        for identifier, known in self._variables.items():
            text = text.replace(identifier, f"'${known}'")
        self._keep(path, f"-H 'Content-Type: application/json' -d '{text}'", variable)
        answer = self._send("POST", path, json=body).json()
        if variable:
            self._variables[answer["id"]] = variable
        return answer

    def get(self, path: str, *, keep: bool = False) -> Any:
        """Return the resource; keep the question as a curl line when it is one of the steps."""
        if keep:
            self._keep(path, "", "")
        return self._send("GET", path).json()

    def changes(self, path: str, seconds: float, *, may_miss: bool = False) -> Iterator[Any]:
        """Yield the resource now and at every change, until the deadline."""
        deadline = time.monotonic() + seconds
        headers: dict[str, str] = {}
        while (asked := time.monotonic()) < deadline:
            response = self._send(
                "GET", path, params={"wait": 2}, headers=headers, may_miss=may_miss
            )
            if response.status_code == 200:
                etag = response.headers.get("etag")
                headers = {"If-None-Match": etag} if etag else {}
                yield response.json()
            # Five questions a second at most, also where nothing waits: a 404 comes at once.
            time.sleep(max(0.0, 0.2 - (time.monotonic() - asked)))

    def called(self, identifier: str, variable: str) -> None:
        """Let a shell variable stand for an id in the curl lines that follow."""
        self._variables[identifier] = variable

    def _keep(self, path: str, arguments: str, variable: str) -> None:
        for identifier, known in self._variables.items():
            path = path.replace(identifier, f"${known}")
        command = f'curl -sS -H "Authorization: Bearer $KEY" "$URL{path}" {arguments}'.rstrip()
        self.commands.append(command + (f"   # its id: {variable}=…" if variable else ""))

    def _send(
        self, method: str, path: str, *, may_miss: bool = False, **request: Any
    ) -> httpx.Response:
        try:
            response = self._client.request(method, path, **request)
        except httpx.TransportError as error:
            state = "still runs" if self._server.poll() is None else "has ended"
            raise Failed(f"{method} {path}: {error!r}; the server {state}") from error
        if response.status_code < 400 or (may_miss and response.status_code == 404):
            return response
        try:
            problem = response.json()
            text = f"{problem['code']}: {problem['detail']} {problem['hint']}"
        except (ValueError, KeyError):
            text = response.text[:200]
        raise Failed(f"{method} {path}: {response.status_code} {text}")


@contextlib.contextmanager
def serving(data_dir: Path) -> Iterator[Service]:
    """Run a server while the block runs; it is stopped in any case."""
    port = _free_port()
    # A variable of the operator must not lead the demo to another database.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TUNERY_")}
    with (data_dir / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tunery_server", "--port", str(port), "--data-dir", data_dir],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which stops the server
        )
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as client:
            _wait_ready(client, server)
            key = (data_dir / "admin.key").read_text().strip()
            client.headers["Authorization"] = f"Bearer {key}"
            yield Service(client, server)
    finally:
        _stop(server)


def log_tail(data_dir: Path, lines: int = 25) -> str:
    """Return the end of the server's log."""
    text = (data_dir / "server.log").read_text(errors="replace")
    return "\n".join(["the end of the server's log:", *text.splitlines()[-lines:]])


def _wait_ready(client: httpx.Client, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(f"the server ended with status {server.returncode} while starting")
        with contextlib.suppress(httpx.TransportError):
            if client.get("/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise Failed(f"the server was not ready in {READY_SECONDS:.0f} s")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave the server behind
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()  # its children die with it (PR_SET_PDEATHSIG)
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
