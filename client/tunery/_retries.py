"""Retries: which failure is worth another try, and when.

Pure: the clients tell what happened and are told how long to wait. Jittered back-off, the
service's Retry-After, one total time for a call with all its tries, and a budget, so that clients
of a service in trouble do not double its load.
"""

import math
import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tunery._calls import Call
from tunery.errors import ApiError, ConnectionFailed, InvalidAnswer, TimedOut, TuneryError

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 8.0
# Of the total time; each try has twice that of the one before, so that a lost answer leaves time to
# ask again and a slow one still comes: of three tries the last has all that is left.
SHARE_OF_THE_FIRST_TRY = 1 / 7
IDLE_SECONDS = 60.0  # without a byte, where a call has no total time
BUDGET_TRIES = 50.0  # that a client may spend in trouble
EARNED_PER_CALL = 0.1  # in quiet times a tenth of the calls at most are retries
_STATUSES = (408, 429, 500, 502, 503, 504)
_REFUSED = (429, 503)  # the request was not carried out
_MAX_RETRY_AFTER_SECONDS = 86_400.0
_HOPELESS = ("model-unavailable",)  # it could not be loaded, and the next try may be a minute off


class Policy(msgspec.Struct, kw_only=True, frozen=True):
    """How long a call may take in all (null: as long as it comes on), and how often it is tried."""

    timeout_seconds: float | None = 60.0
    max_retries: int = 5

    def changed(self, timeout: float | None, max_retries: int | None) -> "Policy":
        """Return a policy with other limits; null leaves one, 0 seconds are no total time."""
        return Policy(
            timeout_seconds=self.timeout_seconds if timeout is None else timeout or None,
            max_retries=self.max_retries if max_retries is None else max_retries,
        )


class Budget:
    """The retries that a client may still make; every call that succeeds earns a part of one."""

    def __init__(self) -> None:
        self._left = BUDGET_TRIES
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Take one, if there is one."""
        with self._lock:
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True

    def earn(self) -> None:
        """Count a success."""
        with self._lock:
            self._left = min(BUDGET_TRIES, self._left + EARNED_PER_CALL)


class Tries:
    """The tries of one call."""

    def __init__(
        self,
        call: Call[Any],
        policy: Policy,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._call = call
        self._policy = policy
        self._budget = budget
        self._clock = clock
        self._jitter = jitter
        timeout = policy.timeout_seconds
        self._until = None if timeout is None else clock() + timeout
        self._maybe_done = False
        self.retries = 0

    def until(self) -> float | None:
        """Return when the try that begins now must have its answer, on the monotonic clock."""
        if self._until is None:
            return None
        last = self.retries >= self._policy.max_retries or not self._call.repeatable
        if last or self._call.patient or self._policy.timeout_seconds is None:
            return self._until
        share = SHARE_OF_THE_FIRST_TRY * 2.0**self.retries
        return min(self._until, self._clock() + self._policy.timeout_seconds * share)

    def moved(self, seconds: float) -> float | None:
        """Leave out of the total time what an upload took to get on; return like `until`."""
        if self._until is not None:
            self._until += seconds
        return self._until

    def after(self, failure: TuneryError) -> float:
        """Return the seconds to wait before another try; raise the failure if there is none."""
        if not self._is_worth(failure) or self.retries >= self._policy.max_retries:
            raise failure
        backed_off = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0**self.retries)
        wait = backed_off * (0.5 + 0.5 * self._jitter())
        if isinstance(failure, ApiError) and failure.retry_after_seconds is not None:
            # Never earlier than asked for, and not all at the same moment.
            wait = failure.retry_after_seconds + FIRST_WAIT_SECONDS * self._jitter()
        if self._until is not None and self._clock() + wait >= self._until:
            raise failure
        if not self._budget.spend():
            raise failure
        self.retries += 1
        refused = isinstance(failure, ApiError) and failure.status in _REFUSED
        unsent = isinstance(failure, ConnectionFailed) and not failure.sent
        self._maybe_done = self._maybe_done or not (refused or unsent)
        return wait

    def succeeded(self) -> None:
        """Count the answer."""
        self._budget.earn()

    def was_done_before(self, failure: TuneryError) -> bool:
        """Return whether a 404 says that an earlier try, whose answer was lost, has deleted it."""
        lost = self._maybe_done and self._call.of is type(None)
        return lost and isinstance(failure, ApiError) and failure.status == 404

    def _is_worth(self, failure: TuneryError) -> bool:
        match failure:
            case ConnectionFailed(sent=False):
                return True
            case ConnectionFailed() | TimedOut() | InvalidAnswer():
                passes = True
            case ApiError(code=code, status=status):
                passes = status in _STATUSES and code not in _HOPELESS
                passes = passes or code == "request-in-progress"
            case _:
                passes = False
        return passes and self._call.repeatable


def retry_after_seconds(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    if not math.isfinite(seconds):
        return None
    return min(_MAX_RETRY_AFTER_SECONDS, max(0.0, seconds))
