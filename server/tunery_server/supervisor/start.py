"""The start of a life: its data directory, its lock on it, its listening socket."""

import errno
import fcntl
import os
import shutil
import socket
import time

from tunery_server.settings import Settings

BACKLOG = 2048
BIND_SECONDS = 3.0  # while a worker of a killed life still holds the port
MAX_SOCKET_PATH = 90  # a Unix socket's path holds 107 bytes, its name included


class StartRefused(Exception):
    """The service can't start like this; the message says what to do."""


def prepare_directories(settings: Settings) -> None:
    """Make the directories of a life, without what the last one left in its own."""
    shutil.rmtree(settings.run_dir, ignore_errors=True)
    shutil.rmtree(settings.work_dir, ignore_errors=True)
    for directory in (settings.run_dir, settings.work_dir, settings.cache_dir, settings.log_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def lock_data_dir(settings: Settings) -> int:
    """Hold the data directory for as long as this process lives; return the open lock.

    Raises:
        StartRefused: another process holds it, it can't be made, or its path is too long.
    """
    if len(str(settings.run_dir)) > MAX_SOCKET_PATH:
        raise StartRefused(
            f"{settings.root} is too long a path for Unix sockets; use a shorter one"
        )
    try:
        settings.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(settings.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartRefused(
            f"can't keep data in {settings.root}: {error.strerror}; name another --data-dir"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise StartRefused(f"{settings.root} is in use by process {holder}") from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def bind(settings: Settings) -> socket.socket:
    """Listen where the settings say; API workers inherit the socket.

    Raises:
        StartRefused: the address is taken, not ours, or none.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            listener.bind((settings.host, settings.port))
            break
        except (OSError, OverflowError) as error:
            code = error.errno if isinstance(error, OSError) else None
            if code != errno.EADDRINUSE or time.monotonic() > deadline:
                listener.close()
                address = f"{settings.host}:{settings.port}"
                why = error.strerror if isinstance(error, OSError) else "a port is 0 to 65535"
                raise StartRefused(f"can't listen on {address}: {why}") from error
            time.sleep(0.05)
    listener.listen(BACKLOG)
    return listener
