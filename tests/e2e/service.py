"""A real tunery: a server process in its own data directory, asked over real HTTP."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

DEADLINE_SECONDS = 120.0
DEMO_TICKETS = Path(__file__).parent.parent / "demo" / "tickets.csv"


class Service:
    """One data directory, and the server that runs on it now."""

    def __init__(self, data_dir: Path, *, program: list[str] | None = None, **settings: Any):
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program or ["-m", "tunery_server"]
        self._settings = {"spares": 0, "threads": 1, **settings}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self.launch()
        wait_until(self.is_ready, "the service is ready", self.log)

    def launch(self) -> None:
        """Start the server without waiting."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        arguments = [
            f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items()
        ]
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *self._program,
                    f"--port={self.port}",
                    f"--data-dir={self.data_dir}",
                    *arguments,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Stop the server as an operator does; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """Kill the supervisor, and nothing else."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def is_ready(self) -> bool:
        """Return whether the service says that it is ready."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def client(self) -> httpx.Client:
        """Return a client with the admin key."""
        key = (self.data_dir / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def log(self) -> str:
        """Return the end of the server's log."""
        return (self.data_dir / "server.log").read_text(errors="replace")[-4000:]

    def processes(self, role: str | None = None) -> list[tuple[int, str, str]]:
        """Return pid, role and owner of the processes that the supervisor has recorded."""
        with sqlite3.connect(f"file:{self.data_dir / 'tunery.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT pid, role, owner FROM processes").fetchall()
        return [row for row in rows if role in (None, row[1])]


@contextmanager
def running(data_dir: Path, **settings: Any) -> Iterator[Service]:
    """Run a service for the length of a block; nothing of it is left afterwards."""
    service = Service(data_dir, **settings)
    service.start()
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], Any],
    what: str,
    explain: Callable[[], str] = lambda: "",
    *,
    seconds: float = DEADLINE_SECONDS,
) -> Any:
    """Wait for a condition to hold and return what it returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain: {what}\n{explain()}")


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def group_of(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for child in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((child / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += group_of(int(child.name))
    return found


def upload(client: httpx.Client, path: Path, media_type: str = "text/csv") -> str:
    """Upload a file and return its id."""
    answer = client.post(
        "/files",
        params={"name": path.name},
        content=path.read_bytes(),
        headers={"Content-Type": media_type},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def dataset(
    client: httpx.Client,
    path: Path | dict[str, Path] = DEMO_TICKETS,
    name: str = "tickets",
    *,
    seconds: float = DEADLINE_SECONDS,
    **spec: Any,
) -> dict:
    """Register a file, or one for each split, as a dataset and wait until it is ready."""
    if isinstance(path, Path):
        spec["file"] = upload(client, path)
    else:
        spec["files"] = {split: upload(client, each) for split, each in path.items()}
    answer = client.post("/datasets", json={"name": name, **spec})
    assert answer.status_code == 202, answer.text
    made = wait_for(
        client,
        answer.headers["Location"],
        lambda body: body["status"] != "validating",
        seconds=seconds,
    )
    assert made["status"] == "ready", made
    return made


def finetune(
    client: httpx.Client, dataset_id: str, *, evaluated: bool = False, **spec: Any
) -> dict:
    """Start a fine-tune, with no evaluation after it unless one is asked for; return its job."""
    spec = {"model": "intent", "then": {"evaluate": evaluated}, **spec}
    answer = client.post("/finetune", json={"dataset": dataset_id, **spec})
    assert answer.status_code == 202, answer.text
    return answer.json()


def ended(client: httpx.Client, job_id: str, *, seconds: float = DEADLINE_SECONDS) -> dict:
    """Wait for a job's end and return it."""
    return wait_for(client, f"/jobs/{job_id}", lambda body: body["terminal"], seconds=seconds)


def deployed(client: httpx.Client, name: str, version: str) -> dict:
    """Deploy a version and wait until it is ready."""
    answer = client.put(f"/deployments/{name}", json={"version": version})
    assert answer.status_code == 202, answer.text
    generation = answer.json()["desired"]["generation"]

    def settled(body: dict) -> bool:
        actual = body["actual"] or {}
        return body["status"] != "loading" and actual.get("generation") == generation

    return wait_for(client, f"/deployments/{name}", settled)


def wait_for(
    client: httpx.Client,
    path: str,
    done: Callable[[dict], bool],
    *,
    seconds: float = DEADLINE_SECONDS,
) -> dict:
    """Poll a resource until it is as wanted."""
    last: dict = {}

    def fetch() -> dict | None:
        nonlocal last
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        last = answer.json()
        return last if done(last) else None

    return wait_until(fetch, path, lambda: str(last), seconds=seconds)


def kill_process(pid: int) -> None:
    """Kill -9 one process that the service started."""
    os.kill(pid, signal.SIGKILL)


def trainer_of(service: Service) -> int:
    """Return the pid of the fine-tune that runs: a child of its own, or a spare that was taken."""
    found = [pid for pid, role, _ in service.processes() if role in ("job", "spare") and alive(pid)]
    return max(found, key=cpu_ticks)


def cpu_ticks(pid: int) -> int:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def copied(service: Service, where: Path) -> Path:
    """Return a copy of a service's data, without what serves now."""
    where.mkdir(parents=True)
    with (
        sqlite3.connect(service.data_dir / "tunery.db") as source,
        sqlite3.connect(where / "tunery.db") as target,
    ):
        source.backup(target)
        for table in ("processes", "routes", "deployments", "deployment_events"):
            target.execute(f"DELETE FROM {table}")
    # Artifacts never change: a second name for each file is a copy that costs nothing.
    shutil.copytree(service.data_dir / "artifacts", where / "artifacts", copy_function=os.link)
    shutil.copy(service.data_dir / "admin.key", where)
    return where


def damage(path: Path) -> None:
    """Flip a bit of an artifact's file; what it is linked to stays as it was."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.parent.chmod(0o755)
    path.unlink()
    path.write_bytes(content)
