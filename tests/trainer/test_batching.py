"""The queue of an engine: order, budget, refusals, and what is dropped."""

import threading
import time

import numpy as np
import pytest

from tunery_trainer.batching import Batches, Request, Row
from tunery_trainer.failure import Refusal
from tunery_trainer.protocol.figures import EngineFigures

ROW: Row = np.array([0.0, 1.0], dtype=np.float32)


class Asked:
    """A request and how it ended."""

    def __init__(self, *lengths: int, seconds: float = 60.0) -> None:
        self.ends: list[str | None] = []
        ids = [[1] * length for length in lengths]
        self.request = Request(ids, time.monotonic() + seconds, self.ends.append)


def batches(
    *, queue: int = 1000, batch: int = 1000, figures: EngineFigures | None = None
) -> Batches:
    return Batches(
        max_queue_tokens=queue, max_batch_tokens=batch, figures=figures or EngineFigures()
    )


def lengths_of_next(queue: Batches) -> list[int]:
    return [len(item.token_ids) for item in queue.next_batch() or []]


def test_batches_are_first_in_first_out_under_the_budget():
    queue = batches(batch=12)
    queue.submit(Asked(4, 4, 4, 5).request)
    queue.submit(Asked(2).request)

    # 4 + 4 + 4 fills it; the 5 starts another.
    assert lengths_of_next(queue) == [4, 4, 4]
    assert lengths_of_next(queue) == [5, 2]


def test_text_longer_than_the_budget_is_computed_alone():
    queue = batches(batch=8)
    queue.submit(Asked(20, 3).request)

    assert lengths_of_next(queue) == [20]
    assert lengths_of_next(queue) == [3]


def test_request_spread_over_batches_ends_once_and_in_order():
    queue = batches(batch=3)
    asked = Asked(3, 3)
    queue.submit(asked.request)

    first = queue.next_batch()
    queue.answer(first, [ROW])
    ends_after_first = list(asked.ends)
    second = queue.next_batch()
    queue.answer(second, [ROW + 1])

    assert ends_after_first == []
    assert asked.ends == [None]
    assert [row.tolist() for row in asked.request.rows] == [[0.0, 1.0], [1.0, 2.0]]


def test_full_queue_refuses_at_once_and_holds_what_it_held():
    queue = batches(queue=10)
    queue.submit(Asked(6).request)

    with pytest.raises(Refusal, match="overloaded"):
        queue.submit(Asked(5).request)

    assert queue.held_tokens == 6


def test_request_larger_than_the_queue_is_taken_when_nothing_waits():
    queue = batches(queue=10)

    queue.submit(Asked(11).request)

    assert queue.held_tokens == 11


def test_tokens_are_held_until_they_are_answered():
    queue = batches()
    queue.submit(Asked(6).request)

    batch = queue.next_batch()
    held_while_computed = queue.held_tokens
    queue.answer(batch, [ROW])

    assert held_while_computed == 6
    assert queue.held_tokens == 0


def test_cancelled_request_gives_its_room_back_and_is_never_computed():
    queue = batches(queue=10)
    cancelled, other = Asked(10), Asked(10)
    queue.submit(cancelled.request)
    queue.cancel(cancelled.request)
    queue.submit(other.request)

    batch = queue.next_batch()

    assert [item.request for item in batch] == [other.request]
    assert cancelled.ends == []


def test_request_cancelled_while_computed_leaves_nothing_held():
    queue = batches(batch=3)
    asked = Asked(3, 3)
    queue.submit(asked.request)
    batch = queue.next_batch()

    queue.cancel(asked.request)
    queue.answer(batch, [ROW])

    assert queue.held_tokens == 0
    assert asked.ends == []


def test_expired_request_is_reported_and_never_computed():
    queue = batches()
    expired, other = Asked(4, seconds=-1), Asked(2)
    queue.submit(expired.request)
    queue.submit(other.request)

    assert lengths_of_next(queue) == [2]
    assert expired.ends == ["deadline-exceeded"]


def test_failed_item_fails_its_request_alone():
    queue = batches()
    poisoned, fine = Asked(2, 2), Asked(2)
    queue.submit(poisoned.request)
    queue.submit(fine.request)

    queue.answer(queue.next_batch(), [None, ROW, ROW])

    assert poisoned.ends == ["internal-error"]
    assert fine.ends == [None]
    assert queue.held_tokens == 0


def test_waiting_taker_wakes_for_work_and_for_the_end():
    queue = batches()
    taken: list[object] = []

    def take() -> None:
        while (batch := queue.next_batch()) is not None:
            taken.append(len(batch))
            queue.answer(batch, [ROW] * len(batch))

    taker = threading.Thread(target=take)
    taker.start()
    answered = threading.Event()
    queue.submit(Request([[1]], time.monotonic() + 60, lambda _: answered.set()))
    assert answered.wait(10)

    queue.close()
    taker.join(10)

    assert taken == [1]
    assert not taker.is_alive()


def test_requests_of_many_threads_are_all_answered():
    queue = batches(queue=10**6, batch=64)
    ends: list[str | None] = []

    def ask() -> None:
        for _ in range(200):
            queue.submit(Request([[1] * 3, [1]], time.monotonic() + 60, ends.append))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    while len(ends) < 1600:
        batch = queue.next_batch()
        queue.answer(batch, [ROW] * len(batch))
    for asker in askers:
        asker.join(10)

    assert ends == [None] * 1600
    assert queue.held_tokens == 0


def test_figures_count_what_was_computed_and_what_was_dropped():
    figures = EngineFigures()
    queue = batches(figures=figures)
    computed, cancelled, expired = Asked(2, 3), Asked(5), Asked(7, seconds=0.0)
    for asked in (computed, cancelled, expired):
        queue.submit(asked.request)

    queue.cancel(cancelled.request)
    batch = queue.next_batch()
    queue.answer(batch, [ROW, ROW])
    queue.cancel(computed.request)

    assert (figures.texts, figures.tokens, figures.cancelled, figures.expired) == (2, 5, 1, 1)
    assert figures.batch_texts.counts == [0, 1, *[0] * 8]
    assert (figures.batch_tokens.counts[0], figures.batch_tokens.sum) == (1, 5.0)
    assert (figures.queue_seconds.count, figures.forward_seconds.count) == (1, 1)


def test_the_oldest_is_the_first_that_still_waits():
    queue = batches()
    first, second = Asked(1), Asked(1)
    queue.submit(first.request)
    queue.submit(second.request)
    first.request.submitted_at -= 60.0
    second.request.submitted_at -= 30.0

    queue.cancel(first.request)
    waited = queue.oldest_seconds()
    queue.next_batch()

    assert 30.0 <= waited < 60.0
    assert queue.oldest_seconds() == 0.0


def test_a_request_that_would_be_late_is_refused_at_once():
    queue = batches(batch=200)
    measured = Asked(100)
    queue.submit(measured.request)
    batch = queue.next_batch()
    measured.request.taken_at -= 10.0  # a token takes 0.1 s
    queue.answer(batch, [ROW])
    queue.submit(Asked(100, seconds=5.0).request)  # the queue is empty: it is taken

    with pytest.raises(Refusal, match=r"^overloaded: what waits already takes about 15\b"):
        queue.submit(Asked(50, seconds=14.0).request)
    queue.submit(Asked(50, seconds=20.0).request)

    assert queue.held_tokens == 150


def test_what_would_be_late_is_dropped_only_where_others_wait():
    queue = batches(batch=200)
    measured, late, next_one = Asked(100), Asked(100, seconds=5.0), Asked(10, seconds=60.0)
    queue.submit(measured.request)
    batch = queue.next_batch()
    queue.submit(late.request)
    queue.submit(next_one.request)
    measured.request.taken_at -= 10.0  # a token takes 0.1 s
    queue.answer(batch, [ROW])

    assert lengths_of_next(queue) == [10]
    assert late.ends == ["deadline-exceeded"]


def test_one_batch_that_was_held_up_does_not_change_the_pace():
    queue = batches(batch=200)
    for seconds in (0.1, 0.1, 60.0):
        asked = Asked(100)
        queue.submit(asked.request)
        batch = queue.next_batch()
        queue._pace._last_at = 0.0
        asked.request.taken_at -= seconds
        queue.answer(batch, [ROW])
    queue.submit(Asked(100, seconds=5.0).request)

    queue.submit(Asked(100, seconds=1.0).request)

    assert queue.held_tokens == 200


def test_a_batch_does_not_grow_so_long_that_its_first_texts_are_late():
    queue = batches(batch=1_000)
    measured = Asked(500)
    queue.submit(measured.request)
    batch = queue.next_batch()
    for seconds in (25.0, 60.0, 60.0):
        queue.submit(Asked(100, seconds=seconds).request)
    measured.request.taken_at -= 50.0  # a token takes 0.1 s
    queue.answer(batch, [ROW])

    assert lengths_of_next(queue) == [100, 100]
    assert lengths_of_next(queue) == [100]


def test_small_batches_say_nothing_about_what_many_tokens_take():
    queue = batches(queue=10_000)
    for _ in range(9):
        asked = Asked(10)
        queue.submit(asked.request)
        batch = queue.next_batch()
        queue._pace._last_at = 0.0
        asked.request.taken_at -= 1.0  # 0.1 s a token: what a batch costs, however small
        queue.answer(batch, [ROW])
    queue.submit(Asked(900, seconds=5.0).request)

    queue.submit(Asked(900, seconds=5.0).request)

    assert queue.held_tokens == 1_800
