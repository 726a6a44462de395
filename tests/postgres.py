"""A throw-away PostgreSQL cluster per test run, on the machine's own binaries."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Return where initdb and pg_ctl stand, the newest version first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    if found:
        return found[0].parent
    return Path(on_path).parent if on_path else None


class Cluster:
    """A running cluster; `url` is SQLAlchemy's, without the database's name."""

    def __init__(self, url: str, control: Callable[..., None]) -> None:
        self.url = url
        self._control = control
        self._running = False

    def start(self) -> None:
        """Start it, or start it anew."""
        self._control("start")
        self._running = True

    def stop(self) -> None:
        """Stop it, where it runs, as a power cut would."""
        if self._running:
            self._control("-m", "immediate", "stop")
        self._running = False


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster on a Unix socket only."""
    bin_dir = binaries()
    assert bin_dir is not None
    # initdb refuses root, so the cluster belongs to an ordinary user and stands where it may look.
    home = Path(tempfile.mkdtemp(prefix="tunery-pg-"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(home, user)
    data = home / "data"

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd=home)

    run(str(bin_dir / "initdb"), "-D", str(data), "-U", "tunery", "-A", "trust", "-N")
    # No TCP, and no sync: the cluster is thrown away.
    options = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=200"
    log = str(home / "log")

    def control(*arguments: str) -> None:
        known = ("-D", str(data), "-o", options, "-l", log, "-w")
        run(str(bin_dir / "pg_ctl"), *known, *arguments)

    running = Cluster(f"postgresql+asyncpg://tunery@/{{name}}?host={home}", control)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)
