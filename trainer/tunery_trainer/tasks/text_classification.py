"""Text classification: one text, one of several labels, softmax and cross-entropy.

torch is imported where it is used: engines do without.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tunery.types import Abstain, Confusion, Imbalance, LabelScore, Metric, Prediction
from tunery_trainer.abstention import fitted_thresholds
from tunery_trainer.failure import Failure
from tunery_trainer.imbalance import class_weights_of
from tunery_trainer.tasks import Answers, Baseline, Encoded, Fit, Judged, Targets
from tunery_trainer.tasks.cells import require_label
from tunery_trainer.tasks.figures import NAMES, Figures, Tally, defined, undefined
from tunery_trainer.tasks.texts import TextEncoder, linear_head
from tunery_trainer.temperature import fitted_temperature

if TYPE_CHECKING:
    import torch


_PLAIN = Fit()


class TextClassification:
    """The task of the contract's `text_classification`."""

    name = "text_classification"
    has_labels = True
    primary_metric = "accuracy"

    def __init__(self, fit: Fit = _PLAIN) -> None:
        self._fit = fit
        self._thresholds = np.array(fit.thresholds)  # (labels,), or (0,)

    @property
    def fit(self) -> Fit:
        """What was measured: the temperature, and thresholds where it abstains."""
        return self._fit

    def read(self, cell: str, separator: str | None) -> str:
        """Return the label. Raises CellUnusable: it can't be one."""
        shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
        return require_label(cell, repr(shown))

    def labels_of(self, cell: str) -> list[str]:
        """Return the one label."""
        return [cell]

    def cell_of(self, labels: Sequence[str]) -> str:
        """Return the one label."""
        return labels[0]

    def targets(self, cells: Sequence[str], labels: Sequence[str]) -> Targets:
        """Return the place of each row's label (rows,) int64. Raises Failure: label-mismatch."""
        index = {label: i for i, label in enumerate(labels)}
        require_known(set(cells), index)
        return np.array([index[cell] for cell in cells], np.int64)

    def counts(self, targets: Targets, labels: int) -> NDArray[np.int64]:
        """Return the rows of each label (labels,); of probabilities the highest counts."""
        targets = targets.argmax(axis=1) if targets.ndim == 2 else targets
        return np.bincount(targets, minlength=labels)

    def fitted(self, targets: Targets) -> Self:
        """Return itself: there is nothing to measure."""
        return self

    def tuned(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return itself: no choice depends on validation rows."""
        return self

    def calibrated(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return the task with the temperature of validation rows."""
        temperature = fitted_temperature(logits, targets)
        return type(self)(replace(self._fit, temperature=temperature))

    def abstaining(self, logits: NDArray[np.float32], targets: Targets, wanted: Abstain) -> Self:
        """Return the task with the least score of each label that is answered."""
        chosen = logits.argmax(axis=1)
        scores = self._probabilities(logits).max(axis=1)
        thresholds = fitted_thresholds(wanted, scores, chosen, chosen == targets, logits.shape[1])
        return type(self)(replace(self._fit, thresholds=thresholds))

    def weights(self, targets: Targets, labels: int, imbalance: Imbalance) -> Targets | None:
        """Return the weight of each class (labels,) float32, whose mean over the rows is 1."""
        return class_weights_of(self.counts(targets, labels), imbalance)

    def baseline(self, targets: Targets, labels: int) -> Baseline:
        """Return who always names the commonest class."""
        logits = np.zeros(labels, dtype=np.float32)
        logits[int(self.counts(targets, labels).argmax())] = 1.0
        return Baseline("majority", logits)

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
        """Return the mean cross-entropy: logits (batch, labels); a scalar.

        Shapes: targets (batch,) int64, or probabilities (batch, labels) float32.
        """
        import torch

        # Over rows, not over weights: a batch of rare classes weighs more than another.
        total = torch.nn.functional.cross_entropy(
            logits, targets, weights, label_smoothing=label_smoothing, reduction="sum"
        )
        return total / len(targets)

    def disagreement(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return the symmetric Kullback-Leibler divergence of two passes, a mean over rows.

        Shapes: logits (batch, labels) each; a scalar. Source: Liang et al. 2021, arXiv:2106.14448.
        """
        import torch

        one, other = first.log_softmax(1), second.log_softmax(1)
        there = torch.nn.functional.kl_div(one, other, reduction="batchmean", log_target=True)
        back = torch.nn.functional.kl_div(other, one, reduction="batchmean", log_target=True)
        return (there + back) / 2

    def predictions(
        self, logits: NDArray[np.float32], encoded: Encoded, labels: Sequence[str], top_k: int
    ) -> list[Prediction]:
        """Return one prediction per row of logits (batch, labels); ties go to the first label."""
        probabilities = self._probabilities(logits)
        ranked = best_first(probabilities, labels, top_k)
        rows = zip(ranked, encoded.ids, encoded.truncated, strict=True)
        predictions = [
            Prediction(
                label=scores[0].label,
                score=scores[0].score,
                scores=scores,
                tokens=len(ids),
                truncated=truncated,
            )
            for scores, ids, truncated in rows
        ]
        if len(self._thresholds):
            for i in np.flatnonzero(self._abstained(probabilities)).tolist():
                predictions[i] = replace(
                    predictions[i], decision="abstain", reject_reason="low_confidence"
                )
        return predictions

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """Return the probabilities, and the most probable label."""
        return Answers(self._probabilities(logits), logits.argmax(axis=1)[:, None])

    def judged(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Judged:
        """Return how each row was answered: logits (rows, labels), targets (rows,)."""
        probabilities, rows = self._probabilities(logits), np.arange(len(targets))
        chosen = logits.argmax(axis=1)
        own, scores = probabilities[rows, targets], probabilities[rows, chosen]
        abstained = self._abstained(probabilities) if len(self._thresholds) else None
        probabilities[rows, targets] = 0.0
        return Judged(
            predicted=[labels[i] for i in chosen.tolist()],
            scores=scores,
            margins=own - probabilities.max(axis=1),
            losses=_losses(own),
            abstained=abstained,
        )

    def scores(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Figures:
        """Return every figure of an evaluation: logits (rows, labels), targets (rows,)."""
        if not len(targets):
            nothing = np.zeros((len(labels), len(labels)), dtype=np.int64)
            return _figures(undefined(["accuracy", "loss", *NAMES]), nothing, labels)
        matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)  # (C, C), true by predicted
        np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
        likelihoods = self._probabilities(logits)[np.arange(len(targets)), targets]  # (rows,)
        loss = _losses(likelihoods).mean()
        accuracy = matrix.trace() / len(targets)
        values = {"accuracy": accuracy, "loss": loss, **Tally.of_confusion(matrix).means()}
        return _figures(defined(values), matrix, labels)

    def _probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return softmax(logits, self._fit.temperature)

    def _abstained(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows (rows,) are no surer than the threshold of their best label."""
        thresholds = self._thresholds[probabilities.argmax(axis=1)]
        return np.asarray(probabilities.max(axis=1) <= thresholds)


_SHOWN = 80  # characters of a label in one message


def require_known(found: set[str], index: dict[str, int]) -> None:
    """Refuse labels that the model or the dataset does not name. Raises Failure: label-mismatch."""
    unknown = sorted(found - index.keys())
    if unknown:
        raise Failure(
            "label-mismatch",
            f"{len(unknown)} labels of the rows are not among the known {len(index)}, "
            f"such as {unknown[0]!r}",
        )


def best_first(
    probabilities: NDArray[np.float64], labels: Sequence[str], top_k: int
) -> list[list[LabelScore]]:
    """Return the most probable labels of each row (batch, labels); ties go to the first label."""
    columns = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]  # (B, K)
    return [
        [LabelScore(label=labels[i], score=float(row[i])) for i in chosen]
        for row, chosen in zip(probabilities, columns, strict=True)
    ]


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return probabilities (batch, labels) of logits (batch, labels), computed in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted /= temperature
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _losses(likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    # The smallest normal number: a label that is impossible to the model costs 708.
    return np.asarray(-np.log(np.maximum(likelihoods, np.finfo(np.float64).tiny)))


def _figures(
    metrics: dict[str, Metric], matrix: NDArray[np.int64], labels: Sequence[str]
) -> Figures:
    return Figures(
        metrics=metrics,
        per_class=Tally.of_confusion(matrix).per_class(labels),
        confusion=Confusion(labels=list(labels), matrix=matrix.tolist()),
    )
