"""Text classification: one text, one of several labels, softmax and cross-entropy.

Owns the tokenizer of a model directory, the head, the loss and the figures. torch is imported
where it is used: engines do without. The figures are computed by NumPy alone: scikit-learn costs
a second to import, and tests compare with it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tunery.types import ClassMetrics, Confusion, LabelScore, Metric, Prediction
from tunery_trainer.tasks import Encoded, Text

if TYPE_CHECKING:
    import torch

NO_ROWS = "there are no rows"


class Tokens(msgspec.Struct, kw_only=True):
    """Texts as tokens."""

    ids: list[list[int]]  # special tokens included, at most max_length each
    truncated: list[bool]
    first: list[int] = []  # of pairs: tokens of the first text of each, without special ones


class Figures(msgspec.Struct, kw_only=True):
    """All figures of an evaluation."""

    metrics: dict[str, Metric]
    per_class: list[ClassMetrics]
    confusion: Confusion


class TextEncoder:
    """The tokenizer of a model directory, cutting texts to `max_length` tokens."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # A tokenizer.json may ask for padding and another length; ours are the caller's.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def __call__(self, texts: Sequence[Text]) -> Tokens:
        """Return the tokens of each text, of a pair's longer one cut first."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return Tokens(
            ids=[encoding.ids for encoding in encodings],
            truncated=[bool(encoding.overflowing) for encoding in encodings],
            first=[
                encoding.sequence_ids.count(0)
                for encoding, text in zip(encodings, texts, strict=True)
                if not isinstance(text, str)
            ],
        )


class TextClassification:
    """The task of the contract's `text_classification`."""

    name = "text_classification"

    def encoder(self, model_dir: Path, max_length: int) -> TextEncoder:
        """Return the tokenizer of a model directory (tokenizer.json)."""
        return TextEncoder(model_dir / "tokenizer.json", max_length)

    def head(self, hidden_size: int, labels: Sequence[str], dropout: float) -> "torch.nn.Module":
        """Return a new head: dropout, then one linear layer.

        Shapes: pooled (batch, hidden) to logits (batch, labels) float32.
        """
        import torch

        linear = torch.nn.Linear(hidden_size, len(labels))
        # The encoder's own range. torch's default is as wide as 1/sqrt(hidden), which starts
        # every label with an opinion of its own.
        torch.nn.init.normal_(linear.weight, std=0.02)
        torch.nn.init.zeros_(linear.bias)
        return torch.nn.Sequential(torch.nn.Dropout(dropout), linear)

    def loss(
        self,
        logits: "torch.Tensor",
        labels: "torch.Tensor",
        label_smoothing: float,
        class_weights: "torch.Tensor | None",
    ) -> "torch.Tensor":
        """Return the mean cross-entropy: logits (batch, labels), labels (batch,); a scalar."""
        import torch

        # Over rows, not over weights: a batch of rare classes weighs more than another.
        total = torch.nn.functional.cross_entropy(
            logits, labels, class_weights, label_smoothing=label_smoothing, reduction="sum"
        )
        return total / len(labels)

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
        probabilities = softmax(logits)  # (B, C)
        best_first = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]  # (B, K)
        answers = []
        for row, columns, ids, truncated in zip(
            probabilities, best_first, encoded.ids, encoded.truncated, strict=True
        ):
            scores = [LabelScore(label=labels[i], score=float(row[i])) for i in columns]
            answers.append(
                Prediction(
                    label=scores[0].label,
                    score=scores[0].score,
                    scores=scores,
                    tokens=len(ids),
                    truncated=truncated,
                )
            )
        return answers

    def scores(
        self, logits: NDArray[np.float32], targets: NDArray[np.int64], labels: Sequence[str]
    ) -> Figures:
        """Return every figure of an evaluation: logits (rows, labels), targets (rows,).

        Macro figures are means over the labels that rows have or that were predicted; a label
        that was never predicted counts as precision 0 there, as in scikit-learn.
        """
        matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)  # (C, C), true by predicted
        np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
        return Figures(
            metrics=_metrics(logits, targets, matrix),
            per_class=[_class_metrics(matrix, i, label) for i, label in enumerate(labels)],
            confusion=Confusion(labels=list(labels), matrix=matrix.tolist()),
        )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities (batch, labels) of logits (batch, labels), computed in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _metrics(
    logits: NDArray[np.float32], targets: NDArray[np.int64], matrix: NDArray[np.int64]
) -> dict[str, Metric]:
    names = ["accuracy", "loss", *(f"{mean}_{name}" for mean in _MEANS for name in _FIGURES)]
    if not len(targets):
        return {name: Metric(value=None, reason=NO_ROWS) for name in names}
    hits = matrix.diagonal().astype(np.float64)  # (C,)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)  # (C,)
    seen = support + predicted > 0
    figures = [
        _ratio(hits, predicted),
        _ratio(hits, support),
        _ratio(2 * hits, support + predicted),
    ]
    accuracy = hits.sum() / len(targets)
    likelihoods = softmax(logits)[np.arange(len(targets)), targets]  # (rows,)
    # The smallest normal number: a label that is impossible to the model costs 708, not infinity.
    loss = -np.log(np.maximum(likelihoods, np.finfo(np.float64).tiny)).mean()
    values = [
        accuracy,
        loss,
        *(figure[seen].mean() for figure in figures),
        *([accuracy] * len(figures)),  # one label a row: all micro figures are the accuracy
        *((figure * support).sum() / len(targets) for figure in figures),
    ]
    return {name: Metric(value=float(value)) for name, value in zip(names, values, strict=True)}


_MEANS = ("macro", "micro", "weighted")
_FIGURES = ("precision", "recall", "f1")


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)


def _class_metrics(matrix: NDArray[np.int64], i: int, label: str) -> ClassMetrics:
    hits, support, predicted = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
    return ClassMetrics(
        label=label,
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + predicted) if support + predicted else None,
        support=support,
    )
