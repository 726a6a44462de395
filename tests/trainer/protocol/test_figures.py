"""Figures: what falls into which bucket, and that sums of processes are sums of their work."""

import msgspec

from tunery_trainer.protocol.figures import EngineFigures, Histogram


def test_a_value_counts_at_the_first_bound_that_it_does_not_exceed():
    histogram = Histogram.over((1.0, 2.0, 5.0))

    for value in (0.5, 1.0, 1.5, 5.0, 5.1):
        histogram.observe(value)

    assert histogram.counts == [2, 1, 1, 1]
    assert (histogram.count, histogram.sum) == (5, 13.1)


def test_figures_of_two_engines_add_up_also_after_the_wire():
    first, second = EngineFigures(texts=2, expired=1), EngineFigures(texts=3, tokens=9)
    first.queue_seconds.observe(0.002)
    second.queue_seconds.observe(0.2)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(second), type=EngineFigures)

    first.add(sent)

    assert (first.texts, first.tokens, first.expired) == (5, 9, 1)
    assert first.queue_seconds.count == 2
    assert second.queue_seconds.count == 1
