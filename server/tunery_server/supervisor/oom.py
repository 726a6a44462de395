"""Memory that ran out, where the child could not say so itself."""

import signal
from pathlib import Path

_COUNTERS = Path("/proc/vmstat")
_LAST_BYTES = 64 * 1024  # of a log: stacks of all threads stand behind the reason
_LAST_WORDS = (b"memory allocation of ", b"std::bad_alloc")  # of Rust and C++, before they abort


def oom_kills() -> int | None:
    """Return how many processes the kernel has ended for memory; None where it does not count.

    Since the machine's start, in any cgroup.
    """
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def memory_ran_out(exit_code: int, log: Path, kills_before: int | None) -> bool:
    """Return whether a child that died without a word did so for lack of memory."""
    if exit_code == -signal.SIGKILL:
        now = oom_kills()
        return kills_before is not None and now is not None and now > kills_before
    if exit_code == -signal.SIGABRT:
        try:
            end = log.read_bytes()[-_LAST_BYTES:]
        except OSError:
            return False
        return any(words in end for words in _LAST_WORDS)
    return False
