"""The kernel's count of processes that it has ended for memory."""

from pathlib import Path

_COUNTERS = Path("/proc/vmstat")


def oom_kills() -> int | None:
    """Return how many there were since the machine's start, in any cgroup; None if unknown."""
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
