"""Memory: how much a device has, and how much of the host's a process holds.

A process counts by its proportional set size: what several engines share, libraries or a file that
they map, is counted once. What one holds of a GPU it says itself.
"""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tunery_server.settings import Settings

logger = logging.getLogger(__name__)

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_SMI_SECONDS = 10.0
_MIB = 1 << 20  # the unit of nvidia-smi


def engine_budget(settings: Settings) -> float:
    """Return how many bytes of their device all engines may hold; 0 where there is no limit."""
    allowed = settings.engine_memory
    return allowed if allowed > 1 else float(int(allowed * device_bytes(settings.engine_device)))


def device_bytes(device: str) -> int:
    """Return the memory of a device; 0 where it can't be told.

    Of the host it is what the machine has, or as much as the cgroup allows.
    """
    if device == "cpu":
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min([machine, *cgroup_limits(_OWN_CGROUPS, _CGROUPS)])
    return _gpu_bytes(device.partition(":")[2])


def process_bytes(pid: int) -> int:
    """Return what a process holds of the host's memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def cgroup_limits(own: Path, root: Path) -> Iterator[int]:
    """Yield the memory limits of the cgroups that a process is in, the outer ones, too.

    Source: cgroups(7); memory.max of version 2, memory.limit_in_bytes of version 1.
    """
    for line in own.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = top / path.lstrip("/")  # not there in a container that sees its cgroup as the root
        for each in (folder, *folder.parents):
            limit = each / name
            if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
                yield int(text)
            if each == top:
                break


def _gpu_bytes(index: str) -> int:
    query = ["nvidia-smi", "--query-gpu=memory.total", f"--id={index}"]
    try:
        done = subprocess.run(
            [*query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SMI_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        logger.exception("nvidia-smi does not say what the GPU has: engines have no limit")
        return 0
    return int(done.stdout) * _MIB
