"""The worker as a process, on a real socket: its start, its leash, its drain."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tunery_server.news import SUPERVISOR, News
from tunery_server.settings import Settings


@pytest.fixture
def worker(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    path = settings.run_dir / "settings.json"
    path.write_bytes(msgspec.json.encode(settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = ["tunery_server", "api", str(path), str(listener.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def test_worker_serves_after_go_and_ends_with_its_leash(
    worker: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = worker
    assert process.stdin is not None

    process.stdin.write(b"go\n")
    process.stdin.flush()
    answer = httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=20)
    process.stdin.close()

    assert answer.json()["status"] == "live"
    assert "server" not in answer.headers
    assert process.wait(timeout=20) == 0


def test_worker_that_is_let_go_before_it_began_ends(
    worker: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, _ = worker
    assert process.stdin is not None

    process.stdin.close()

    assert process.wait(timeout=20) == 0


def test_news_wake_those_who_wait_and_the_supervisor(tmp_path: Path) -> None:
    async def body() -> bytes:
        news = News(tmp_path)
        news.open()
        news.wake()  # nobody is there: no error
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(str(tmp_path / SUPERVISOR))
            with news.watching("job_1") as watch:
                supervisor.sendto(b"job_1", str(tmp_path / f"api-{os.getpid()}.sock"))
                async with asyncio.timeout(1.5):
                    await watch.changed(10)
            news.wake()
            woken = supervisor.recv(10)
        news.close()
        return woken

    assert asyncio.run(body()) == b"wake"
    assert list(tmp_path.glob("api-*.sock")) == []
