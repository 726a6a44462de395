"""Batching: the one owner of an engine's queue; who computes takes from it, others only submit.

An item is one text of one request. Batches are first in, first out under a token budget, and never
wait for company while the device is idle. What is cancelled or expired is dropped before it costs
anything. Knows neither sockets nor models.

Source: the queue of text-embeddings-inference (core/src/queue.rs); its cost is that of padding,
which runtimes here have little of (packing.py).
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.failure import Refusal
from tunery_trainer.protocol.figures import EngineFigures

_FORESEEN = 0.8  # of the time until a deadline: what waits may take so much of it, by the pace
_PACED_BATCHES = 9  # the last ones, that tell what the next will cost

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

    def require_room(self, tokens: int, deadline: float) -> None:
        """Refuse what can't be held, or would be late; `tokens` are at least that many.

        What finds the queue empty is taken whatever its size: it could never be else. What would be
        late, at the pace of the last batches, is refused at once: where all wait until their
        deadline, each is computed too late for whom it was for.

        Raises:
            Refusal: overloaded.
        """
        if not self._held_tokens:
            return
        tokens += self._held_tokens
        if tokens > self._max_queue_tokens:
            raise Refusal("overloaded", f"{self._held_tokens} tokens wait already")
        left, seconds = deadline - time.monotonic(), tokens * self._pace.seconds_per_token
        if 0 < left * _FORESEEN < seconds:  # one that has expired is told so, when it is taken
            raise Refusal("overloaded", f"what waits already takes about {seconds:.3g} s")

    def submit(self, request: Request) -> None:
        """Queue all texts of a request.

        Raises:
            Refusal: overloaded, see `require_room`.
        """
        tokens = sum(map(len, request.token_ids))
        with self._changed:
            self.require_room(tokens, request.deadline)
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

    def _take(self, expired: list[Request]) -> list[Item]:
        batch: list[Item] = []
        taken = 0  # tokens
        now, due = time.monotonic(), math.inf
        while self._items:
            request = self._items[0].request
            if not request.ended and self._is_late(request, now, taken):
                self._end(request)
                self._figures.expired += not request.taken_at
                expired.append(request)
            if request.ended:
                self._items.popleft()
                continue
            tokens = len(self._items[0].token_ids)
            if batch and taken + tokens > self._max_batch_tokens:
                break
            if batch and now + (taken + tokens) * self._pace.seconds_per_token > due:
                break  # it would make those late that are in it
            taken += tokens
            due = min(due, request.deadline)
            request.waiting_tokens -= tokens
            request.taken_at = request.taken_at or now
            batch.append(self._items.popleft())
        return batch

    def _is_late(self, request: Request, now: float, taken: int) -> bool:
        """Return whether a request's deadline passes before it is computed, behind so many tokens.

        Where nobody waits for what it would cost, it is tried in any case.
        """
        tokens = taken + request.waiting_tokens
        seconds = tokens * self._pace.seconds_per_token if tokens < self._held_tokens else 0.0
        return request.deadline <= now + seconds

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
        # A small batch costs more a token: it says nothing about what a queue will take.
        if 2 * tokens >= self._max_batch_tokens:
            self._pace.computed(tokens, batch[0].request.taken_at, now)
        for request in computed:
            figures.queue_seconds.observe(request.taken_at - request.submitted_at)
            figures.forward_seconds.observe(now - request.taken_at)


class _Pace:
    """What a token costs; written by the thread that computes.

    The median, so that one batch that was held up says nothing about the next.
    """

    def __init__(self) -> None:
        self.seconds_per_token = 0.0  # until there was a batch
        self._last: deque[float] = deque(maxlen=_PACED_BATCHES)
        self._last_at = 0.0

    def computed(self, tokens: int, taken_at: float, now: float) -> None:
        """Count a batch; it was not begun before the last one had ended."""
        self._last.append((now - max(taken_at, self._last_at)) / max(1, tokens))
        self._last_at = now
        self.seconds_per_token = sorted(self._last)[len(self._last) // 2]
