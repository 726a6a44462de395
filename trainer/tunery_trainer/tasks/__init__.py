"""Tasks: one module each, behind one small Protocol.

A task says how texts become tokens, how outputs become predictions, which metrics count. Nothing
here imports torch at the top, since engines use it, too; the head and the loss import it inside.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tunery.types import ClassMetrics, Confusion, Metric, Prediction

if TYPE_CHECKING:
    import torch


Text = str | tuple[str, str]  # a tuple is a pair, which is read together


class Encoded(Protocol):
    """Texts as tokens."""

    ids: list[list[int]]  # special tokens included, at most max_length each
    truncated: list[bool]
    first: list[int]  # of pairs: tokens of the first text of each, without special ones


class Encoder(Protocol):
    """Turns texts into tokens, in bulk; safe to use from one thread at a time."""

    def __call__(self, texts: Sequence[Text]) -> Encoded:
        """Return the tokens of each text, of a pair's longer one cut first."""
        ...


class Scores(Protocol):
    """All figures of an evaluation."""

    metrics: dict[str, Metric]
    per_class: list[ClassMetrics]
    confusion: Confusion


class Task(Protocol):
    """What sets one task apart from another."""

    name: str

    def encoder(self, model_dir: Path, max_length: int) -> Encoder:
        """Return the tokenizer of a model directory (tokenizer.json)."""
        ...

    def head(self, hidden_size: int, labels: Sequence[str], dropout: float) -> "torch.nn.Module":
        """Return a new head: pooled (batch, hidden) to logits (batch, labels) float32."""
        ...

    def loss(
        self,
        logits: "torch.Tensor",
        labels: "torch.Tensor",
        label_smoothing: float,
        class_weights: "torch.Tensor | None",
    ) -> "torch.Tensor":
        """Return the mean loss: logits (batch, labels), labels (batch,) int64; a scalar.

        `class_weights` (labels,) weigh the rows of each class; their mean over all rows is 1.
        """
        ...

    def disagreement(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return how far two passes over the same rows are apart: logits (batch, labels) each."""
        ...

    def predictions(
        self, logits: NDArray[np.float32], encoded: Encoded, labels: Sequence[str], top_k: int
    ) -> list[Prediction]:
        """Return one prediction per row of logits (batch, labels)."""
        ...

    def scores(
        self, logits: NDArray[np.float32], targets: NDArray[np.int64], labels: Sequence[str]
    ) -> Scores:
        """Return every figure of an evaluation: logits (rows, labels), targets (rows,)."""
        ...


def task_named(name: str) -> Task:
    """Return a task by its name in the contract."""
    from tunery_trainer.tasks import text_classification

    return {"text_classification": text_classification.TextClassification()}[name]
