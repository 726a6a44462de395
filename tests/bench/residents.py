"""What loaded models cost while nobody asks: memory and CPU with 1, 5 and 20 of them.

Each deployment is an engine of its own; memory is what the processes hold once shared pages are
divided among them (PSS), so that it adds up.
"""

import os
import time
from pathlib import Path

import psutil
from tests.e2e import service as e2e

from tunery_server.supervisor.memory import process_bytes

MODELS = (1, 5, 20)
SETTLED_SECONDS = 5.0
IDLE_SECONDS = 20.0
ONE_TEXT = {"inputs": ["where is my parcel?"]}


def residents(service: e2e.Service) -> None:
    """Print memory and idle CPU by the number of loaded models."""
    with service.client() as client:
        for models in MODELS:
            names = [f"resident-{i}" for i in range(models)]
            for name in names:
                e2e.deployed(client, name, "intent/1")
            time.sleep(SETTLED_SECONDS)
            engines = [process_bytes(pid) for pid, _, _ in service.processes("engine")]
            whole = sum(process_bytes(each.pid) for each in _alive(service))
            before = _cpu_seconds(service)
            time.sleep(IDLE_SECONDS)
            share = (_cpu_seconds(service) - before) / IDLE_SECONDS
            for name in names:  # all of them answer
                client.post("/predict", json=ONE_TEXT | {"model": name}).raise_for_status()
            print(
                f"{models} loaded: {sum(engines) / models / 1e6:.0f} MB each, service and engines "
                f"{whole / 1e6:.0f} MB; idle {100 * share:.1f} % of one core"
            )
        for name in names:
            client.delete(f"/deployments/{name}")


def _alive(service: e2e.Service) -> list[psutil.Process]:
    assert service.process is not None
    supervisor = psutil.Process(service.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def _cpu_seconds(service: e2e.Service) -> float:
    return sum(_seconds_of(each.pid) for each in _alive(service))


def _seconds_of(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = (int(fields[i]) for i in (11, 12))  # proc(5), counted from the third field
    return (user + system) / os.sysconf("SC_CLK_TCK")
