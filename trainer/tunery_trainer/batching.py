"""Batching: the one owner of an engine's queue; who computes takes from it, others only submit.

An item is one text of one request. Batches are first in, first out under a token budget, and never
wait for company while the device is idle. What is cancelled or expired is dropped before it costs
anything. Knows neither sockets nor models.

Source: the queue of text-embeddings-inference (core/src/queue.rs); its cost is that of padding,
which runtimes here have little of (packing.py).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.failure import Refusal
from tunery_trainer.protocol.figures import EngineFigures

_FADING = 0.9  # of what a batch tells of the pace, with each one after it

EXPIRED: Final = "deadline-exceeded"
BROKEN: Final = "internal-error"

Row = NDArray[np.float32]  # logits of one text (labels,)
_NOT_YET: Final[Row] = np.empty(0, dtype=np.float32)


class Request:
    """Texts that are answered together; `on_end` is called once, with no lock held.

    It gets None when `rows` are complete, else the code of what went wrong; a cancelled request
    ends without a call.
    """

    def __init__(
        self,
        token_ids: Sequence[Sequence[int]],
        deadline: float,  # of time.monotonic()
        on_end: Callable[[str | None], None],
    ) -> None:
        self.token_ids = token_ids
        self.deadline = deadline
        self.on_end = on_end
        self.rows: list[Row] = [_NOT_YET] * len(token_ids)
        self.missing = len(token_ids)
        self.waiting_tokens = 0
        self.submitted_at = 0.0  # of time.monotonic(), as is the next one
        self.taken_at = 0.0  # the first of its texts
        self.ended = False


class Item(NamedTuple):
    """One text of a request."""

    request: Request
    row: int

    @property
    def token_ids(self) -> Sequence[int]:
        """Its tokens."""
        return self.request.token_ids[self.row]


class Batches:
    """The queue; safe to use from any thread, except that one thread alone takes batches."""

    def __init__(
        self, *, max_queue_tokens: int, max_batch_tokens: int, figures: EngineFigures
    ) -> None:
        self._figures = figures
        self._max_queue_tokens = max_queue_tokens
        self._max_batch_tokens = max_batch_tokens
        self._items: deque[Item] = deque()
        self._held_tokens = 0  # waiting or being computed
        self._pace = _Pace()
        self._closed = False
        self._changed = threading.Condition()

    @property
    def held_tokens(self) -> int:
        """How many tokens wait or are being computed."""
        return self._held_tokens

    def oldest_seconds(self) -> float:
        """Return how long the first text that still waits has waited."""
        with self._changed:
            waiting = (item.request for item in self._items if not item.request.ended)
            first = next(waiting, None)
            return 0.0 if first is None else time.monotonic() - first.submitted_at

    def submit(self, request: Request) -> None:
        """Queue all texts of a request.

        A request that finds the queue empty is taken whatever its size: it could never be else.
        One that would be late, at the pace of the last batches, is refused at once: where all wait
        until their deadline, each is computed too late for whom it was for.

        Raises:
            Refusal: overloaded, the queue is too full for it.
        """
        tokens = sum(map(len, request.token_ids))
        with self._changed:
            if self._held_tokens:
                self._require_room(request, self._held_tokens + tokens)
            self._held_tokens += tokens
            request.waiting_tokens = tokens
            request.submitted_at = time.monotonic()
            self._items.extend(Item(request, row) for row in range(len(request.token_ids)))
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Forget what still waits of a request."""
        with self._changed:
            self._figures.cancelled += not request.ended and not request.taken_at
            self._end(request)

    def next_batch(self) -> list[Item] | None:
        """Wait for work and return the next batch, or None once closed."""
        while True:
            expired: list[Request] = []
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed)
                if self._closed:
                    return None
                batch = self._take(expired)
            for request in expired:
                request.on_end(EXPIRED)
            if batch:
                return batch

    def answer(self, batch: Sequence[Item], logits: Sequence[Row | None]) -> None:
        """Give each item of a batch its logits; None fails the item's whole request."""
        ended: list[tuple[Request, str | None]] = []
        with self._changed:
            for item, row in zip(batch, logits, strict=True):
                request = item.request
                self._held_tokens -= len(item.token_ids)
                if request.ended:
                    continue
                if row is None:
                    self._end(request)
                    ended.append((request, BROKEN))
                    continue
                request.rows[item.row] = row
                request.missing -= 1
                if request.missing == 0:
                    request.ended = True
                    ended.append((request, None))
        self._count(batch, [request for request, code in ended if code is None])
        for request, code in ended:
            request.on_end(code)

    def close(self) -> None:
        """Let `next_batch` return None, whatever still waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _require_room(self, request: Request, tokens: int) -> None:
        if tokens > self._max_queue_tokens:
            raise Refusal("overloaded", f"{self._held_tokens} tokens wait already")
        seconds = tokens * self._pace.seconds_per_token
        now = time.monotonic()
        if now < request.deadline < now + seconds:  # one that has expired is told so, when taken
            raise Refusal("overloaded", f"what waits already takes about {seconds:.3g} s")

    def _take(self, expired: list[Request]) -> list[Item]:
        batch: list[Item] = []
        room = self._max_batch_tokens
        now = time.monotonic()
        while self._items:
            request = self._items[0].request
            if not request.ended and request.deadline <= now:
                self._end(request)
                self._figures.expired += not request.taken_at
                expired.append(request)
            if request.ended:
                self._items.popleft()
                continue
            tokens = len(self._items[0].token_ids)
            if batch and tokens > room:
                break
            room -= tokens
            request.waiting_tokens -= tokens
            request.taken_at = request.taken_at or now
            batch.append(self._items.popleft())
        return batch

    def _end(self, request: Request) -> None:
        if not request.ended:
            request.ended = True
            self._held_tokens -= request.waiting_tokens

    def _count(self, batch: Sequence[Item], computed: Sequence[Request]) -> None:
        figures = self._figures
        tokens = sum(len(item.token_ids) for item in batch)
        figures.texts += len(batch)
        figures.tokens += tokens
        figures.batch_texts.observe(len(batch))
        figures.batch_tokens.observe(tokens)
        now = time.monotonic()
        self._pace.computed(tokens, batch[0].request.taken_at, now)
        for request in computed:
            figures.queue_seconds.observe(request.taken_at - request.submitted_at)
            figures.forward_seconds.observe(now - request.taken_at)


class _Pace:
    """What a token costs, by the last batches; written by the thread that computes."""

    def __init__(self) -> None:
        self.seconds_per_token = 0.0  # until there was a batch
        self._tokens = 0.0
        self._seconds = 0.0
        self._last_at = 0.0

    def computed(self, tokens: int, taken_at: float, now: float) -> None:
        """Count a batch; it was not begun before the last one had ended."""
        self._tokens = _FADING * self._tokens + tokens
        self._seconds = _FADING * self._seconds + now - max(taken_at, self._last_at)
        self._last_at = now
        self.seconds_per_token = self._seconds / max(1.0, self._tokens)
