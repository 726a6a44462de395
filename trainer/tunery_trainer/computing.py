"""Computing: the loop of an engine's second thread, and what it does when a runtime fails."""

import logging
from collections.abc import Sequence

import numpy as np

from tunery_trainer.batching import Batches, Item, Row
from tunery_trainer.runtimes import Runtime

_log = logging.getLogger(__name__)


class RuntimeBroken(Exception):
    """The runtime fails even for texts that it answered when it was loaded."""


def compute_batches(batches: Batches, runtime: Runtime, probe: Sequence[Sequence[int]]) -> None:
    """Compute batch after batch until the queue is closed.

    Raises:
        RuntimeBroken: nothing of a batch could be computed, nor the probe; a device that has failed
            once, say, refuses everything until its process is replaced.
    """
    while (batch := batches.next_batch()) is not None:
        rows = _rows_of(batch, runtime)
        batches.answer(batch, rows)
        if all(row is None for row in rows):
            _require_answers(runtime, probe)


def _rows_of(batch: Sequence[Item], runtime: Runtime) -> list[Row | None]:
    """Return the logits of each item; None for the ones that the runtime can't compute.

    Where a batch fails, its items are tried one by one, so that one text fails alone.
    """
    try:
        logits = runtime.logits([item.token_ids for item in batch])  # (B, C)
        finite = [bool(np.isfinite(row).all()) for row in logits]
        if len(batch) == 1 or all(finite):
            return [row if sound else None for row, sound in zip(logits, finite, strict=True)]
        # In a packed pass what is not finite spreads to its neighbours.
        return [
            row if sound else _rows_of([item], runtime)[0]
            for item, row, sound in zip(batch, logits, finite, strict=True)
        ]
    except Exception:
        _log.exception("a batch of %d failed", len(batch))
        if len(batch) == 1:
            return [None]
        return [row for item in batch for row in _rows_of([item], runtime)]


def _require_answers(runtime: Runtime, probe: Sequence[Sequence[int]]) -> None:
    try:
        finite = np.isfinite(runtime.logits(probe)).all()
    except Exception as error:
        raise RuntimeBroken(f"{runtime.name} fails for the canary: {error}") from error
    if not finite:
        raise RuntimeBroken(f"{runtime.name} gives logits that are not finite")
