"""Computing: one text that can't be computed fails alone, also where it spoils its neighbours."""

from collections.abc import Sequence

import numpy as np

from tunery_trainer.batching import Batches, Request
from tunery_trainer.computing import compute_batches
from tunery_trainer.protocol.figures import EngineFigures

POISON = 13


class SpreadingRuntime:
    """A packed runtime: what is not finite in one text is so in all of its pass."""

    name = "spreading"
    precision = "fp32"

    def logits(self, token_ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the first token of each text as its logit (texts, 1)."""
        firsts = np.array([[float(ids[0])] for ids in token_ids], np.float32)
        return np.full_like(firsts, np.nan) if POISON in firsts else firsts


def test_text_that_is_not_finite_fails_alone() -> None:
    queue = Batches(max_queue_tokens=1_000, max_batch_tokens=1_000, figures=EngineFigures())
    ends: dict[int, str | None] = {}
    requests = [
        Request([[token]], 1e12, lambda code, token=token: ends.update({token: code}))
        for token in (1, POISON, 3)
    ]
    for request in requests:
        queue.submit(request)
    last = Request([[4]], 1e12, lambda _: queue.close())
    queue.submit(last)

    compute_batches(queue, SpreadingRuntime(), [[1]])

    assert ends == {1: None, POISON: "internal-error", 3: None}
    assert [float(request.rows[0][0]) for request in (requests[0], requests[2])] == [1.0, 3.0]
