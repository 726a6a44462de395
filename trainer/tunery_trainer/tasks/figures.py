"""Figures: precision, recall and F1 of labels, and their means.

NumPy alone: scikit-learn costs a second to import, and tests compare with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import ClassMetrics, Confusion, Metric
from tunery_trainer.protocol.metrics import MEANS, OF_LABEL

NO_ROWS = "there are no rows"
NAMES = [f"{mean}_{figure}" for mean in MEANS for figure in OF_LABEL]
_BETAS = {"f1": 1.0, "f05": 0.5, "f2": 2.0}


class Figures(msgspec.Struct, kw_only=True):
    """All figures of an evaluation."""

    metrics: dict[str, Metric]
    per_class: list[ClassMetrics] = []
    confusion: Confusion | None = None


class Tally(msgspec.Struct, kw_only=True, frozen=True):
    """Rows by label, (..., labels) each: the right ones, those that have it, those given it."""

    hits: NDArray[np.float64]
    support: NDArray[np.int64] | NDArray[np.float64]
    predicted: NDArray[np.int64] | NDArray[np.float64]

    @classmethod
    def of_confusion(cls, matrix: NDArray[np.int64]) -> Self:
        """Return the tally of a matrix (labels, labels), true by predicted."""
        hits = matrix.diagonal().astype(np.float64)
        return cls(hits=hits, support=matrix.sum(axis=1), predicted=matrix.sum(axis=0))

    @classmethod
    def of_sets(cls, truth: NDArray[np.bool_], given: NDArray[np.bool_]) -> Self:
        """Return the tally of rows that have any number of labels (rows, labels)."""
        hits = (truth & given).sum(axis=0).astype(np.float64)
        return cls(hits=hits, support=truth.sum(axis=0), predicted=given.sum(axis=0))

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Return every mean of precision, recall and F-beta, by its name; shapes: (...,).

        Macro figures are over the labels that rows have or that were predicted; a label that was
        never predicted counts as precision 0 there, as in scikit-learn.
        """
        seen = self.support + self.predicted > 0
        labels = np.maximum(1, seen.sum(axis=-1))
        rows = np.maximum(1, self.support.sum(axis=-1))
        found: dict[str, dict[str, NDArray[np.float64]]] = {mean: {} for mean in MEANS}
        for name in OF_LABEL:
            whole = self._whole(name)
            figure = _ratio(self.hits, whole)
            found["macro"][name] = (figure * seen).sum(axis=-1) / labels
            found["micro"][name] = _ratio(self.hits.sum(axis=-1), whole.sum(axis=-1))
            found["weighted"][name] = (figure * self.support).sum(axis=-1) / rows
        return {f"{mean}_{name}": found[mean][name] for mean in MEANS for name in found[mean]}

    def of_label(self, name: str, place: int) -> NDArray[np.float64]:
        """Return one figure of one label, NaN where it is not defined; shapes: (...,)."""
        whole = np.asarray(self._whole(name)[..., place], np.float64)
        return np.where(whole > 0, _ratio(self.hits[..., place], whole), np.nan)

    def per_class(self, labels: Sequence[str]) -> list[ClassMetrics]:
        """Return the figures of each label; null where one is not defined. Shapes: (labels,)."""
        wholes = [self._whole(name) for name in OF_LABEL]
        # A whole that was weighed may be short of its parts by a rounding.
        shares = (np.minimum(1.0, _ratio(self.hits, whole)) for whole in wholes)
        figures = zip(*(share.tolist() for share in shares), strict=True)
        defined = zip(*((whole > 0).tolist() for whole in wholes), strict=True)
        rows = zip(labels, figures, defined, self.support.tolist(), strict=True)
        return [
            ClassMetrics(
                label=label,
                support=int(support),
                **{
                    name: value if known else None
                    for name, value, known in zip(OF_LABEL, values, all_known, strict=True)
                },
            )
            for label, values, all_known, support in rows
        ]

    def _whole(self, name: str) -> NDArray[Any]:
        """Return what hits are divided by. Source of F-beta: van Rijsbergen 1979, chapter 7."""
        if name == "precision":
            return self.predicted
        if name == "recall":
            return self.support
        square = _BETAS[name] ** 2
        return np.asarray((square * self.support + self.predicted) / (1 + square))


def undefined(names: Sequence[str]) -> dict[str, Metric]:
    """Return metrics that no row defines."""
    return {name: Metric(value=None, reason=NO_ROWS) for name in names}


def defined(values: Mapping[str, float | NDArray[np.float64]]) -> dict[str, Metric]:
    """Return metrics of these values."""
    return {name: Metric(value=float(value)) for name, value in values.items()}


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Return a ratio, 0 where there is nothing to divide by."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    found = np.divide(numerator, denominator, out=np.zeros(shape), where=denominator > 0)
    return np.asarray(found)
