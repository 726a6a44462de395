"""Latency: how long the runtime that serves takes for one text, and for eight.

Measured in the evaluation's own process, so that whatever else the machine did counts, too.
"""

import time
from collections.abc import Sequence

import numpy as np

from tunery.types import Latency, Percentiles
from tunery_trainer.evaluate.answering import Answering
from tunery_trainer.tasks import Text

SINGLES, EIGHTS = 40, 10  # times that each is measured
_ROUNDS = 2  # only the last one counts: a runtime prepares for lengths that it has not seen


def latency_of(answering: Answering, texts: Sequence[Text]) -> Latency | None:
    """Return how long texts of a split take; None where there are none."""
    if not texts:
        return None
    return Latency(
        device=answering.device,
        threads=answering.threads,
        single=_percentiles(answering, texts, SINGLES, 1),
        eight=_percentiles(answering, texts, EIGHTS, 8),
    )


def _percentiles(
    answering: Answering, texts: Sequence[Text], times: int, at_once: int
) -> Percentiles:
    # Evenly over the split, whose order may go by length or label.
    places = np.linspace(0, len(texts) - 1, times * at_once).astype(int).tolist()
    batches = [
        [texts[i] for i in places[start : start + at_once]]
        for start in range(0, len(places), at_once)
    ]
    for _ in range(_ROUNDS):
        taken = []
        for batch in batches:
            began = time.perf_counter()
            answering.answer(batch)
            taken.append((time.perf_counter() - began) * 1000)
            answering.alive()
    p50, p95 = np.percentile(taken, (50, 95))
    return Percentiles(p50_ms=float(p50), p95_ms=float(p95))
