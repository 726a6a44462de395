"""Regression: one text, one number, the squared error.

Outputs are standardised by the mean and the deviation of the training rows, so that rates and
tolerances are those of the other tasks; answers and figures are in the numbers' own unit. torch is
imported where it is used: engines do without.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tunery.types import Abstain, Imbalance, Metric, Prediction
from tunery_trainer.failure import Failure
from tunery_trainer.tasks import Answers, Baseline, Encoded, Fit, Judged, Targets
from tunery_trainer.tasks.cells import CellUnusable
from tunery_trainer.tasks.figures import Figures, defined, undefined
from tunery_trainer.tasks.texts import TextEncoder, linear_head

if TYPE_CHECKING:
    import torch

LARGEST = 1e100  # whose square is still finite
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 80  # characters of a cell in one message
_METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "loss")


class Regression:
    """The task of the contract's `regression`; a cell is stored as a plain decimal number."""

    name = "regression"
    has_labels = False
    primary_metric = "mae"

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    @property
    def fit(self) -> Fit:
        """What was measured: mean and deviation of the training rows."""
        return self._fit

    def read(self, cell: str, separator: str | None) -> str:
        """Return the number as it is stored. Raises CellUnusable: it is none, or not finite."""
        shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
        plain = cell.strip()
        value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
        if not abs(value) <= LARGEST:
            raise CellUnusable("not-a-number", f"{shown!r} is no finite number")
        return _cell(value)

    def labels_of(self, cell: str) -> list[str]:
        """Return nothing: numbers are no labels."""
        return []

    def cell_of(self, labels: Sequence[str]) -> str:
        """Never called: there are no labels."""
        raise NotImplementedError

    def targets(self, cells: Sequence[str], labels: Sequence[str]) -> Targets:
        """Return the numbers (rows,) float64. Raises Failure: label-mismatch, one is none."""
        try:
            return np.array([float(cell) for cell in cells], np.float64)
        except ValueError as error:
            raise Failure("label-mismatch", f"the rows have labels, not numbers: {error}") from None

    def counts(self, targets: Targets, labels: int) -> NDArray[np.int64]:
        """Return nothing: there are no labels."""
        return np.zeros(0, np.int64)

    def fitted(self, targets: Targets) -> Self:
        """Return the task with mean and deviation of the training rows (rows,)."""
        deviation = float(targets.std()) if len(targets) else 0.0
        mean = float(targets.mean()) if len(targets) else 0.0
        return type(self)(replace(self._fit, mean=mean, deviation=deviation or 1.0))

    def tuned(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return itself: all was measured on training rows."""
        return self

    def calibrated(self, logits: NDArray[np.float32], targets: Targets) -> Self:
        """Return itself: numbers have no probability."""
        return self

    def abstaining(self, logits: NDArray[np.float32], targets: Targets, wanted: Abstain) -> Self:
        """Return itself: a number has no score. It is refused where it is asked for."""
        return self

    def weights(self, targets: Targets, labels: int, imbalance: Imbalance) -> Targets | None:
        """Return nothing: there are no labels."""
        return None

    def baseline(self, targets: Targets, labels: int) -> Baseline:
        """Return who always says the mean of the training rows."""
        standardised = (targets.mean() - self._fit.mean) / self._fit.deviation
        return Baseline("mean", np.array([standardised], np.float32))

    def encoder(self, model_dir: Path, max_length: int) -> TextEncoder:
        """Return the tokenizer of a model directory (tokenizer.json)."""
        return TextEncoder(model_dir / "tokenizer.json", max_length)

    def outputs(self, labels: int) -> int:
        """Return one."""
        return 1

    def head(self, hidden_size: int, outputs: int, dropout: float) -> "torch.nn.Module":
        """Return a new head: pooled (batch, hidden) to standardised values (batch, 1) float32."""
        return linear_head(hidden_size, outputs, dropout)

    def loss(
        self,
        logits: "torch.Tensor",
        targets: "torch.Tensor",
        label_smoothing: float,
        weights: "torch.Tensor | None",
    ) -> "torch.Tensor":
        """Return the mean squared error in deviations: logits (batch, 1), targets (batch,)."""
        wanted = (targets - self._fit.mean) / self._fit.deviation
        return (logits[:, 0] - wanted.to(logits.dtype)).square().mean()

    def disagreement(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return the mean squared difference of two passes: (batch, 1) each; a scalar.

        Source: Liang et al. 2021, arXiv:2106.14448, as it does for STS-B.
        """
        return (first - second).square().mean()

    def predictions(
        self, logits: NDArray[np.float32], encoded: Encoded, labels: Sequence[str], top_k: int
    ) -> list[Prediction]:
        """Return one value per row of logits (batch, 1)."""
        rows = zip(self._values(logits).tolist(), encoded.ids, encoded.truncated, strict=True)
        return [
            Prediction(
                label="", score=0.0, scores=[], value=value, tokens=len(ids), truncated=truncated
            )
            for value, ids, truncated in rows
        ]

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """Return the standardised values; nothing is chosen."""
        return Answers(logits.astype(np.float64), np.zeros((len(logits), 1), np.int64))

    def judged(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Judged:
        """Return how each row was answered: logits (rows, 1), targets (rows,)."""
        values = self._values(logits)
        nothing = np.full(len(targets), np.nan)
        return Judged(
            predicted=list(map(_cell, values.tolist())),
            scores=nothing,
            margins=nothing,
            losses=np.square((values - targets) / self._fit.deviation),
        )

    def scores(
        self, logits: NDArray[np.float32], targets: Targets, labels: Sequence[str]
    ) -> Figures:
        """Return every figure of an evaluation: logits (rows, 1), targets (rows,).

        `mae` and `rmse` are in the unit of the numbers, `loss` is the squared error in deviations.
        What needs rows that differ is null where they don't.
        """
        if not len(targets):
            return Figures(metrics=undefined(_METRICS))
        values = self._values(logits)
        errors = values - targets
        squares = float(np.square(errors).mean())
        metrics = defined(
            {
                "mae": float(np.abs(errors).mean()),
                "rmse": math.sqrt(squares),
                "loss": squares / self._fit.deviation**2,
            }
        )
        spread = float(targets.var())
        metrics["r2"] = _metric(1 - squares / spread if spread else None, _SAME)
        metrics["pearson"] = _correlation(values, targets)
        metrics["spearman"] = _correlation(_ranks(values), _ranks(targets))
        return Figures(metrics=metrics)

    def _values(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return logits[:, 0].astype(np.float64) * self._fit.deviation + self._fit.mean


_SAME = "all rows have the same number"


def _cell(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _metric(value: float | None, reason: str) -> Metric:
    return Metric(value=value, reason=None if value is not None else reason)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> Metric:
    if one.std() == 0 or other.std() == 0:
        return _metric(None, _SAME)
    one, other = one - one.mean(), other - other.mean()
    return _metric(float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())), _SAME)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((2 * ends - counts - 1) / 2)[places.reshape(-1)], np.float64)
