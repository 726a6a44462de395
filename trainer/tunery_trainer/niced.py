"""Work that goes second: what serves on the same cores is not slowed down by it.

    python -m tunery_trainer.niced SPEC.json    an engine, imported so, too

Linux keeps a niceness for each thread, which the threads that it starts inherit, and only a
privileged process may take any of it back. So niced work has a thread that ends with it, and what
shall compute at full speed afterwards must not have been started by that thread. Imports next to
nothing, as that goes first: concurrent.futures would double what Python takes to start.
"""

import importlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

NICE = 10  # as what trains has

_Result = TypeVar("_Result")


def niced(work: Callable[[], _Result]) -> _Result:
    """Do a piece of work in a niced thread; return what it returns, raise what it raises.

    The thread is gone by then.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def go_second() -> None:
        me = os.PRIO_PROCESS, threading.get_native_id()
        os.setpriority(*me, max(NICE, os.getpriority(*me)))
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=go_second, name="niced")
    thread.start()
    thread.join()
    while Path(f"/proc/self/task/{thread.native_id}").exists():  # for a moment after it is joined
        time.sleep(0.0001)
    if errors:
        raise errors[0]
    return results[0]


if __name__ == "__main__":
    program = niced(lambda: importlib.import_module("tunery_trainer.__main__"))
    niced(program.import_engine)
    program.run_and_exit()
