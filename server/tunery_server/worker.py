"""One API worker: a process that serves the listening socket which it inherits.

It imports everything, then waits on stdin for the line `go`: the supervisor has migrated the
database. The rest of stdin is the leash; at its end the worker drains and exits.

    python -m tunery_server.worker <settings.json> <fd of the listening socket>
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Generator

import uvicorn

from tunery_server.app import create_app
from tunery_server.base_models import BaseModels
from tunery_server.connections import IDLE_SECONDS, Connections, ImpatientProtocol
from tunery_server.services import Services
from tunery_server.settings import Settings
from tunery_trainer.protocol.leash import Leash

GO = b"go\n"
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the leash and SIGTERM both mean drain."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = Connections()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield


def run(settings: Settings, socket_fd: int) -> None:
    """Serve until the leash ends; the exit code is 0."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    _allow_connections()
    listener = socket.socket(fileno=socket_fd)
    listener.setblocking(False)
    services = Services(settings, BaseModels(settings.base_models, settings.hub_cache))
    config = uvicorn.Config(
        create_app(services),
        http=ImpatientProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(IDLE_SECONDS),
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )
    config.load()
    server = Server(config)
    if not _told_to_go():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which decides
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(server, services, listener))


async def _serve(server: Server, services: Services, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    def released() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(services.drain.begin)

    async def exit_when_drained() -> None:
        settings = services.settings
        await services.drain.ended(
            unready_seconds=settings.unready_seconds, patience_seconds=settings.drain_seconds
        )
        server.should_exit = True

    loop.add_signal_handler(signal.SIGTERM, services.drain.begin)
    Leash(sys.stdin.buffer, released)
    exiting = asyncio.create_task(exit_when_drained())
    try:
        await server.serve(sockets=[listener])
    finally:
        exiting.cancel()


def _allow_connections() -> None:
    """Let as many files be open as the system allows: shells give 1,024, each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _told_to_go() -> bool:
    # By single bytes and past Python's buffer: what follows the line belongs to the leash.
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return False
        line += byte
    return line == GO
