"""Multi-label classification: one text, any number of labels, a sigmoid and a threshold for each.

torch is imported where it is used: engines do without.
"""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tunery.types import Abstain, Imbalance, Prediction
from tunery_trainer.abstention import fitted_thresholds
from tunery_trainer.tasks import Answers, Baseline, Encoded, Fit, Judged, Targets
from tunery_trainer.tasks.cells import CellUnusable, require_label
from tunery_trainer.tasks.figures import NAMES, Figures, Tally, defined, undefined
from tunery_trainer.tasks.text_classification import best_first, require_known
from tunery_trainer.tasks.texts import TextEncoder, linear_head

if TYPE_CHECKING:
    import torch

MAX_WEIGHT = 10.0  # of the rows that have a label; more is learned by heart
_SHOWN = 80  # characters of a cell in one message
_HINT = (
    'Write a JSON list of strings, such as ["a", "b"], or say what parts the labels in '
    "columns.label_separator."
)


class MultiLabel:
    """The task of the contract's `multi_label`; a cell is stored as a sorted JSON list."""

    name = "multi_label"
    has_labels = True
    primary_metric = "micro_f1"

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    @property
    def fit(self) -> Fit:
        """What was measured: the thresholds."""
        return self._fit

    def read(self, cell: str, separator: str | None) -> str:
        """Return the labels as a sorted JSON list, which may be empty.

        Raises:
            CellUnusable: it is no list of strings, or one of them can't be a label.
        """
        shown = repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…")
        if separator is not None and not cell.lstrip().startswith("["):
            found = [part.strip() for part in cell.split(separator) if part.strip()]
        else:
            found = _listed(cell, shown)
        return self.cell_of([require_label(label, shown) for label in found])

    def labels_of(self, cell: str) -> list[str]:
        """Return the labels of a stored cell, sorted."""
        labels: list[str] = json.loads(cell)
        return labels

    def cell_of(self, labels: Sequence[str]) -> str:
        """Return labels as a JSON list, sorted, each once."""
        return json.dumps(sorted(set(labels)), ensure_ascii=False)

    def targets(self, cells: Sequence[str], labels: Sequence[str]) -> Targets:
        """Return which rows have which labels (rows, labels) float32, 0 or 1.

        Raises:
            Failure: label-mismatch, one is not among `labels`.
        """
        index = {label: i for i, label in enumerate(labels)}
        sets = [self.labels_of(cell) for cell in cells]
        require_known(set(chain.from_iterable(sets)), index)
        targets = np.zeros((len(cells), len(labels)), dtype=np.float32)
        for row, found in zip(targets, sets, strict=True):
            row[[index[label] for label in found]] = 1.0
        return targets

    def counts(self, targets: Targets, labels: int) -> NDArray[np.int64]:
        """Return the rows of each label (labels,)."""
        return np.asarray(targets.sum(axis=0), dtype=np.int64)

    def fitted(self, targets: Targets) -> Self:
        """Return itself: thresholds need rows that were not trained on."""
        return self

    def tuned(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return the task with the threshold of each label that gives it the best F1.

        Shapes: logits, targets (rows, labels). A label that no row has keeps 0.5.
        """
        if not len(targets):
            return self
        probabilities = sigmoid(logits)
        thresholds = [
            _best_threshold(column, truth)
            for column, truth in zip(probabilities.T, targets.T > 0, strict=True)
        ]
        return type(self)(replace(self._fit, thresholds=thresholds))

    def calibrated(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return itself: the thresholds say what a probability is worth."""
        return self

    def abstaining(self, logits: NDArray[np.float32], targets: Targets, wanted: Abstain) -> Self:
        """Return the task with the threshold of each label from which it is given often rightly.

        Each label of a row is an answer of its own.
        """
        rows, labels = logits.shape
        chosen = np.tile(np.arange(labels), rows)
        thresholds = fitted_thresholds(
            wanted, sigmoid(logits).ravel(), chosen, targets.ravel() > 0, labels
        )
        return type(self)(replace(self._fit, thresholds=thresholds))

    def weights(self, targets: Targets, labels: int, imbalance: Imbalance) -> Targets | None:
        """Return the weight of the rows that have a label (labels,) float32.

        It is how many rows lack the label for one that has it, from 1 to 10.
        """
        if imbalance == "none":
            return None
        counts = self.counts(targets, labels)
        lacking = (len(targets) - counts) / np.maximum(counts, 1)
        return np.asarray(np.clip(lacking, 1.0, MAX_WEIGHT), dtype=np.float32)

    def baseline(self, targets: Targets, labels: int) -> Baseline:
        """Return who gives each text the labels that most of the rows have."""
        shares = self.counts(targets, labels) / max(1, len(targets))
        return Baseline("majority", np.where(shares > 0.5, 1.0, -1.0).astype(np.float32))

    def encoder(self, model_dir: Path, max_length: int) -> TextEncoder:
        """Return the tokenizer of a model directory (tokenizer.json)."""
        return TextEncoder(model_dir / "tokenizer.json", max_length)

    def outputs(self, labels: int) -> int:
        """Return how many labels there are."""
        return labels

    def head(self, hidden_size: int, outputs: int, dropout: float) -> "torch.nn.Module":
        """Return a new head: pooled (batch, hidden) to logits (batch, labels) float32."""
        return linear_head(hidden_size, outputs, dropout)

    def loss(
        self,
        logits: "torch.Tensor",
        targets: "torch.Tensor",
        label_smoothing: float,
        weights: "torch.Tensor | None",
    ) -> "torch.Tensor":
        """Return the mean binary cross-entropy: logits, targets (batch, labels); a scalar."""
        import torch

        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=weights
        )

    def disagreement(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return the symmetric Kullback-Leibler divergence of two passes, a mean over labels.

        Shapes: logits (batch, labels) each; a scalar. Source: Liang et al. 2021, arXiv:2106.14448.
        """
        return ((first.sigmoid() - second.sigmoid()) * (first - second)).mean() / 2

    def predictions(
        self, logits: NDArray[np.float32], encoded: Encoded, labels: Sequence[str], top_k: int
    ) -> list[Prediction]:
        """Return one prediction per row of logits (batch, labels).

        `labels` of it are those that reach their threshold, `label` is the most probable of all.
        """
        probabilities = sigmoid(logits)
        given = self._given(probabilities)
        rows = zip(
            best_first(probabilities, labels, top_k),
            given,
            encoded.ids,
            encoded.truncated,
            strict=True,
        )
        return [
            Prediction(
                label=scores[0].label,
                score=scores[0].score,
                scores=scores,
                labels=[labels[i] for i in np.flatnonzero(chosen).tolist()],
                tokens=len(ids),
                truncated=truncated,
            )
            for scores, chosen, ids, truncated in rows
        ]

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """Return the probabilities, and which labels are given."""
        probabilities = sigmoid(logits)
        return Answers(probabilities, self._given(probabilities).astype(np.int64))

    def judged(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Judged:
        """Return how each row was answered: logits, targets (rows, labels)."""
        probabilities, truth = sigmoid(logits), targets > 0
        given = self._given(probabilities)
        ahead = probabilities - self._thresholds
        return Judged(
            predicted=[
                self.cell_of([labels[i] for i in np.flatnonzero(row).tolist()]) for row in given
            ],
            scores=np.where(given, probabilities, 1 - probabilities).min(axis=1),
            margins=np.where(truth, ahead, -ahead).min(axis=1),
            losses=_losses(logits, truth).mean(axis=1),
        )

    def scores(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Figures:
        """Return every figure of an evaluation: logits, targets (rows, labels).

        A row counts for `subset_accuracy` where all its labels are right, `hamming_loss` is the
        share of wrong ones among all labels of all rows.
        """
        truth = targets > 0
        given = self._given(sigmoid(logits)) if len(targets) else truth
        tally = Tally.of_sets(truth, given)
        per_class = tally.per_class(labels)
        if not len(targets):
            names = ["subset_accuracy", "hamming_loss", "loss", *NAMES]
            return Figures(metrics=undefined(names), per_class=per_class)
        values = {
            "subset_accuracy": float((truth == given).all(axis=1).mean()),
            "hamming_loss": float((truth != given).mean()),
            "loss": float(_losses(logits, truth).mean()),
        }
        return Figures(metrics=defined(values) | defined(tally.means()), per_class=per_class)

    def _given(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(probabilities >= self._thresholds)

    @property
    def _thresholds(self) -> NDArray[np.float64]:
        return np.array(self._fit.thresholds or [0.5])


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probability of each label for itself, computed in float64."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits.astype(np.float64))))


def _losses(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    signed = np.where(truth, logits, -logits).astype(np.float64)
    return np.asarray(np.logaddexp(0.0, -signed))


def _listed(cell: str, shown: str) -> list[str]:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise CellUnusable("invalid-label", f"{shown} is no JSON list of labels", _HINT)
    return found


def _best_threshold(probabilities: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return where F1 is best, in the middle of the gap to the next row; the highest of equals.

    Shapes: (rows,) both.
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + truth.sum())
    f1[:-1][ranked[:-1] == ranked[1:]] = 0.0  # no threshold parts rows of one probability
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
