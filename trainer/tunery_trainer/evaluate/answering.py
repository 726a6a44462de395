"""Answering: rows to logits through the runtime that serves, until the leash is let go.

Owns the runtime and the tokenizer of an evaluation.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunery_trainer import runtimes
from tunery_trainer.model_files import ModelFacts
from tunery_trainer.padding import bucket_length
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.tasks import Task, Text

CHUNK_ROWS = 256  # of one call: of like length, and short enough to show progress between


class Released(Exception):
    """The leash was let go after so many `rows`."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


class Answering:
    """A loaded model that answers rows."""

    def __init__(
        self,
        spec: EvaluateRun,
        facts: ModelFacts,
        task: Task,
        meter: ProgressMeter,
        leash_released: Callable[[], bool],
    ) -> None:
        model_dir = Path(spec.model_dir)
        self._meter = meter
        self._leash_released = leash_released
        self._outputs = task.outputs(len(facts.labels))
        self._encoder = task.encoder(model_dir, facts.max_length)
        self.device, self.threads = spec.device, spec.threads
        self.runtime = runtimes.load(
            model_dir,
            spec.runtime,
            device=spec.device,
            threads=spec.threads,
            precision=spec.precision,
        )

    def logits(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Return the logits of texts (rows, outputs), in their order.

        Raises:
            Released: the leash was let go.
        """
        self._meter.enter("tokenising")
        token_ids: list[list[int]] = []
        for start in range(0, len(texts), CHUNK_ROWS):
            token_ids += self._encoder(texts[start : start + CHUNK_ROWS]).ids
            self.alive()
        self._meter.enter("evaluating")
        logits = np.zeros((len(texts), self._outputs), dtype=np.float32)
        done = 0
        for indices in _chunks(token_ids):
            logits[indices] = self.runtime.logits([token_ids[i] for i in indices])  # (B, C)
            done += len(indices)
            self._meter.stepped(
                step=done, total_steps=len(texts), epoch=done / len(texts), examples=len(indices)
            )
            self.alive(done)
        return logits

    def answer(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Return the logits of a few texts (rows, outputs), as an engine computes them."""
        return self.runtime.logits(self._encoder(texts).ids)

    def alive(self, rows: int = 0) -> None:
        """Say that the work goes on.

        Raises:
            Released: it is to end; so many rows are done.
        """
        if self._leash_released():
            raise Released(rows)
        self._meter.alive()


def _chunks(token_ids: list[list[int]]) -> Iterator[list[int]]:
    by_length = sorted(range(len(token_ids)), key=lambda i: -bucket_length(len(token_ids[i])))
    return (by_length[i : i + CHUNK_ROWS] for i in range(0, len(by_length), CHUNK_ROWS))
