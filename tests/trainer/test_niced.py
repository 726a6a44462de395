"""Niced work: done by a thread that goes second and is gone with it."""

import os
import threading
from pathlib import Path

import pytest

from tunery_trainer.niced import NICE, niced


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_the_work_is_niced_and_nothing_else():
    before = niceness()

    assert niced(niceness) == NICE
    assert niceness() == before


def test_its_thread_is_gone_when_it_is_done():
    thread = niced(threading.get_native_id)

    assert not Path(f"/proc/self/task/{thread}").exists()


def test_what_it_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        niced(lambda: 1 / 0)
