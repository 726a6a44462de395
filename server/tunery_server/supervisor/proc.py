"""Process identity: a pid alone is reused; a pid, its start and the boot name one process.

Source: proc(5), /proc/<pid>/stat field 22 and /proc/sys/kernel/random/boot_id.
"""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


@functools.cache
def boot_id() -> str:
    """Return the id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def end_remains(recorded: Sequence[Row[Any]]) -> int:
    """Kill the groups of recorded processes that are still the same ones; return how many.

    They are proven dead when this returns.
    """
    remains = [row for row in recorded if row.boot_id == boot_id() and _is_alive(row)]
    for row in remains:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(row.pid, signal.SIGKILL)
    while any(_is_alive(row) for row in remains):
        time.sleep(0.01)
    return len(remains)


def _is_alive(row: Row[Any]) -> bool:
    try:
        stat = Path(f"/proc/{row.pid}/stat").read_text()
    except OSError:
        return False
    state = stat.rpartition(")")[2].split()[0]
    return state not in "ZX" and start_ticks(row.pid) == row.start_ticks
