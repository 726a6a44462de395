"""Ctrl-C during a bulk prediction, also one that arrives at the worst moment."""

import signal
import sys
import threading
import time
import traceback
from types import FrameType

import httpx
import pytest
from tests.client.answers import client_of, predicted


def test_a_ctrl_c_that_wakes_no_lock_ends_a_prediction_at_once() -> None:
    main = threading.get_ident()
    released = threading.Event()
    first = threading.Lock()

    def answer(request: httpx.Request) -> httpx.Response:
        if first.acquire(blocking=False):
            # Raised in this thread, it does not wake the main one, as where it came just before
            # the wait for a lock.
            wait_until_waiting(main)
            signal.raise_signal(signal.SIGINT)
        released.wait(20)
        return predicted(request)

    with client_of(answer) as client:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.predict("intent", ["x"] * 600, concurrency=2)
        took = time.monotonic() - began
        released.set()

    assert took < 10.0


def wait_until_waiting(thread: int) -> None:
    """Return when a thread waits for a future."""
    until = time.monotonic() + 10
    while not is_waiting(sys._current_frames()[thread]):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_waiting(frame: FrameType) -> bool:
    callers = {caller.f_globals["__name__"] for caller, _ in traceback.walk_stack(frame)}
    return frame.f_code.co_name == "wait" and "concurrent.futures._base" in callers
