"""Tasks: one module each, behind one small Protocol.

A task says what a label cell holds and what of it is learned, how outputs become predictions, which
metrics count. Nothing here imports torch at the top, since engines use it, too; the head and the
loss import it inside.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import Abstain, ClassMetrics, Confusion, Imbalance, Metric, Prediction

if TYPE_CHECKING:
    import torch

Text = str | tuple[str, str]  # a tuple is a pair, which is read together
Targets = NDArray[Any]  # (rows,) or (rows, labels): what the task learns of each row


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
    confusion: Confusion | None


class Fit(msgspec.Struct, kw_only=True, frozen=True):
    """What a task measures on rows, beside the weights; it is stored with them."""

    mean: float = 0.0  # regression: of the training rows
    deviation: float = 1.0
    # By label, measured on validation rows. multi_label gives a label from there on, without them
    # from 0.5; text_classification answers one above it, without them always.
    thresholds: list[float] = []
    temperature: float = 1.0  # text_classification: divides logits, fitted on validation rows


class Answers(NamedTuple):
    """Logits as what a client sees of them.

    Shapes: `sizes` (rows, n) float64, probabilities or standardised values; `choices` (rows, m),
    equal where the same is chosen.
    """

    sizes: NDArray[np.float64]
    choices: NDArray[np.int64]


class Judged(NamedTuple):
    """Rows as they were answered; shapes: (rows,) each, NaN where the task has no such figure."""

    predicted: list[str]  # stored cells
    scores: NDArray[np.float64]  # probability of what was answered
    margins: NDArray[np.float64]  # by which what is true is ahead; below 0 where it is not
    losses: NDArray[np.float64]
    abstained: NDArray[np.bool_] | None = None  # None where the task answers always


class Baseline(NamedTuple):
    """Who answers the same whatever the text: its name, and its logits (outputs,)."""

    name: str
    logits: NDArray[np.float32]


class Task(Protocol):
    """What sets one task apart from another."""

    name: str
    has_labels: bool  # or numbers
    primary_metric: str  # of several figures the one that is told first

    @property
    def fit(self) -> Fit:
        """What was measured on rows."""
        ...

    # Cells: labels as files hold them

    def read(self, cell: str, separator: str | None) -> str:
        """Return a label cell as it is stored: equal where the same is meant.

        Raises:
            CellUnusable: nothing can be learned from it.
        """
        ...

    def labels_of(self, cell: str) -> list[str]:
        """Return the labels that a stored cell holds; none where the task has none."""
        ...

    def cell_of(self, labels: Sequence[str]) -> str:
        """Return the stored cell of labels."""
        ...

    # Targets: what is learned of rows

    def targets(self, cells: Sequence[str], labels: Sequence[str]) -> Targets:
        """Return what is learned of rows of stored cells.

        Raises:
            Failure: label-mismatch, a cell holds what is none of `labels`.
        """
        ...

    def counts(self, targets: Targets, labels: int) -> NDArray[np.int64]:
        """Return the rows of each label (labels,)."""
        ...

    def fitted(self, targets: Targets) -> Self:
        """Return the task with what it measures on training rows."""
        ...

    def tuned(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return the task with what it measures on validation rows."""
        ...

    def calibrated(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return the task whose probabilities mean what they say on validation rows."""
        ...

    def abstaining(self, logits: NDArray[np.float32], targets: Targets, wanted: Abstain) -> Self:
        """Return the task that answers what is wanted of validation rows, once it is calibrated."""
        ...

    def weights(self, targets: Targets, labels: int, imbalance: Imbalance) -> Targets | None:
        """Return what the loss gives each label (labels,) float32."""
        ...

    def baseline(self, targets: Targets, labels: int) -> Baseline:
        """Return who knows the training targets, and no text."""
        ...

    # The model

    def encoder(self, model_dir: Path, max_length: int) -> Encoder:
        """Return the tokenizer of a model directory (tokenizer.json)."""
        ...

    def outputs(self, labels: int) -> int:
        """Return how many logits a row has."""
        ...

    def head(self, hidden_size: int, outputs: int, dropout: float) -> "torch.nn.Module":
        """Return a new head: pooled (batch, hidden) to logits (batch, outputs) float32."""
        ...

    def loss(
        self,
        logits: "torch.Tensor",
        targets: "torch.Tensor",
        label_smoothing: float,
        weights: "torch.Tensor | None",
    ) -> "torch.Tensor":
        """Return the mean loss over rows, a scalar; logits (batch, outputs)."""
        ...

    def disagreement(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return how far two passes over the same rows are apart: logits (batch, outputs) each."""
        ...

    # Answers

    def predictions(
        self, logits: NDArray[np.float32], encoded: Encoded, labels: Sequence[str], top_k: int
    ) -> list[Prediction]:
        """Return one prediction per row of logits (batch, outputs)."""
        ...

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """Return what two runtimes must agree in: logits (rows, outputs)."""
        ...

    def judged(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Judged:
        """Return how each row was answered: logits (rows, outputs)."""
        ...

    def scores(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Scores:
        """Return every figure of an evaluation: logits (rows, outputs)."""
        ...


def task_named(name: str, fit: Fit | None = None) -> Task:
    """Return a task by its name in the contract, with what it has measured."""
    from tunery_trainer.tasks import multi_label, regression, text_classification

    known: dict[str, Task] = {
        "text_classification": text_classification.TextClassification(fit or Fit()),
        "multi_label": multi_label.MultiLabel(fit or Fit()),
        "regression": regression.Regression(fit or Fit()),
    }
    return known[name]
