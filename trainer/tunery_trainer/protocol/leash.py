"""The leash: how a child lives and dies with the supervisor.

stdin is the leash. Its end, while the supervisor lives, means: finish the step, save, exit.
When the supervisor itself has died, the kernel kills the child (PR_SET_PDEATHSIG), and the job
resumes from its last checkpoint.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import BinaryIO

PARENT_VARIABLE = "TUNERY_PARENT_PID"  # set by the supervisor; absent when run by hand
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to end this process when its supervisor dies; exit if it already has.

    The pid is passed by the parent: read here it might already be the reaper's.
    """
    expected = os.environ.get(PARENT_VARIABLE)
    if expected is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how, 0, 0, 0)
    if os.getppid() != int(expected):
        os._exit(1)


def supervised() -> bool:
    """Return whether a supervisor has started this process, and takes what it makes."""
    return PARENT_VARIABLE in os.environ


def environment_of_child() -> dict[str, str]:
    """Return the environment in which a child of this process dies with it."""
    return {**os.environ, PARENT_VARIABLE: str(os.getpid())}


class Leash:
    """Watches stdin in a thread of its own, so that no computation delays the answer."""

    def __init__(self, stdin: BinaryIO, on_release: Callable[[], None]) -> None:
        self._stdin = stdin
        self._on_release = on_release
        threading.Thread(target=self._watch, name="leash", daemon=True).start()

    def _watch(self) -> None:
        while self._stdin.read(1):
            pass
        self._on_release()
