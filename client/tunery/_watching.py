"""Watching: what a client that follows something for hours has to remember.

Pure, like `_retries`: a `Patience` says how long to wait and when to give up, an `EventFeed` turns
what comes into events, each once and in order. Both outlast a restart of the service.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tunery._calls import Call, list_events
from tunery._decode import decode
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    InvalidAnswer,
    TimedOut,
    TooManyStreams,
    TuneryError,
)
from tunery.types import Deployment, Event, EventList

WAIT_SECONDS = 30  # that the service holds an answer back
UNREACHABLE_SECONDS = 300.0  # without any answer, then whoever watches gives up
SHORTEST_ROUND_SECONDS = 0.5  # also where something between answers at once
_MARGIN_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 5.0

Shown = TypeVar("Shown")


class Patience:
    """How long to go on: until a deadline, or as long as the service can be reached."""

    def __init__(self, what: str, timeout_seconds: float | None) -> None:
        self._what = what
        self._timeout_seconds = timeout_seconds
        self._until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._failures = 0
        self._failing_since: float | None = None
        self._began_at = time.monotonic()

    @property
    def until(self) -> float | None:
        """The deadline, on the monotonic clock."""
        return self._until

    def begin(self) -> int:
        """Begin a round; return for how many seconds the service may hold its answer back.

        Raises:
            TimedOut: the deadline has passed.
        """
        self._began_at = time.monotonic()
        if self._until is None:
            return WAIT_SECONDS
        left = self._until - self._began_at
        if left <= 0:
            raise TimedOut(f"{self._what} has not ended after {self._timeout_seconds:g} s")
        return min(WAIT_SECONDS, int(left))

    def round_until(self, wait_seconds: int) -> float:
        """Return when the answer of this round must be here."""
        late = self._began_at + wait_seconds + _MARGIN_SECONDS
        return late if self._until is None else min(late, self._until + 1.0)

    def answered(self) -> None:
        """Count an answer."""
        self._failures = 0
        self._failing_since = None

    def rest(self) -> float:
        """Return the seconds that are missing to a round of decent length."""
        return max(0.0, self._began_at + SHORTEST_ROUND_SECONDS - time.monotonic())

    def after(self, failure: TuneryError) -> float:
        """Return the seconds to wait after a failure; raise it where waiting will not help."""
        if not _passes(failure):
            raise failure
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since > UNREACHABLE_SECONDS:
            raise failure
        wait = min(_LONGEST_WAIT_SECONDS, 0.25 * 2.0 ** min(self._failures, 10))
        wait *= 0.75 + 0.5 * random.random()
        self._failures += 1
        if isinstance(failure, ApiError) and failure.retry_after_seconds is not None:
            wait = max(wait, failure.retry_after_seconds + 0.25 * random.random())
        if self._until is not None:
            wait = min(wait, max(0.0, self._until - time.monotonic()))
        return wait


def deployment_outcome(deployment: Deployment, generation: int | None) -> str | None:
    """Return what became of a PUT, else of the last: `ready`, `stopped`, a code; None: it loads.

    The status alone does not say: it stays `ready` where a failed load leaves the old version up.
    A PUT that did not serve before another came is `superseded`.
    """
    outcomes = {each.generation: each.outcome for each in deployment.history}
    wanted = deployment.desired
    if generation is not None and generation != wanted.generation:
        return "ready" if outcomes.get(generation) == "ready" else "superseded"
    if wanted.version is None and wanted.checkpoint is None:
        return "stopped" if deployment.status == "stopped" else None
    if deployment.status == "loading":
        return None
    outcome = outcomes.get(wanted.generation)
    died = outcome == "ready" and deployment.status == "failed"
    return "crash-loop" if died else outcome


class EventFeed:
    """The events of one job: what came, what is asked for next."""

    def __init__(self, job_id: str, after: int) -> None:
        self.streams = True  # else it asks for lists
        self.ended = False
        self.quiet = False  # whether the last list was empty
        self.last_seq: int = after
        self.job_id = job_id
        self._parser = _StreamParser()
        self._heard = False

    def list_call(self, wait_seconds: int) -> Call[EventList]:
        """Return the call for what comes next."""
        return list_events(self.job_id, after=self.last_seq, wait_seconds=wait_seconds)

    def opened(self) -> None:
        """Begin a stream."""
        self._parser = _StreamParser()
        self._heard = False

    def streamed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that a chunk of the stream completes.

        Raises:
            InvalidAnswer: the stream is broken, or leaves one out.
        """
        self._heard = True
        for data in self._parser.feed(chunk):
            yield from self._taken(decode(data, Event))

    def listed(self, content: bytes) -> Iterator[Event]:
        """Yield the events of a list. Raises like `streamed`."""
        events = decode(content, EventList).data
        self.quiet = not events
        for event in events:
            yield from self._taken(event)

    def failed(self, failure: TuneryError) -> None:
        """Ask for lists from now on, where streams do not come through."""
        silent = isinstance(failure, TimedOut) and not self._heard
        if silent or isinstance(failure, InvalidAnswer | TooManyStreams):
            self.streams = False

    def _taken(self, event: Event) -> Iterator[Event]:
        if event.seq <= self.last_seq:
            return
        if event.seq != self.last_seq + 1:
            raise InvalidAnswer(f"event {self.last_seq + 1} of {self.job_id} is missing")
        self.last_seq = event.seq
        self.ended = event.type == "end"
        yield event


class _StreamParser:
    """Bytes of a stream in, the data of whole events out.

    Source: HTML Living Standard, 9.2.6: a line ends with CR LF, LF or CR, and with nothing else;
    an event ends with an empty line. Only `data` is read: it holds the seq and the type, too.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        text = self._rest + chunk
        held = b"\r" if text.endswith(b"\r") else b""  # its LF may come with the next chunk
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = lines.split(b"\n")
        self._rest = rest + held
        for line in whole:
            if line:
                name, _, value = line.partition(b":")
                if name == b"data":
                    self._data.append(value.removeprefix(b" "))
            elif self._data:
                data, self._data = b"\n".join(self._data), []
                yield data


def _passes(failure: TuneryError) -> bool:
    """Return whether a failure is one of a network, or of a service that is restarting."""
    if isinstance(failure, ApiError):
        return failure.status in (408, 429) or failure.status >= 500
    return isinstance(failure, ConnectionFailed | TimedOut | InvalidAnswer)


def both(
    first: Callable[[Shown], None], second: Callable[[Shown], None] | None
) -> Callable[[Shown], None]:
    """Return what shows a thing to the first, and to the second if there is one."""

    def call(shown: Shown) -> None:
        first(shown)
        if second is not None:
            second(shown)

    return call
