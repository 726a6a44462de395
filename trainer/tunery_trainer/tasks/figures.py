"""Figures: precision, recall and F1 of labels, and their means.

NumPy alone: scikit-learn costs a second to import, and tests compare with it.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunery.types import ClassMetrics, Confusion, Metric

NO_ROWS = "there are no rows"
NAMES = [
    f"{mean}_{figure}"
    for mean in ("macro", "micro", "weighted")
    for figure in ("precision", "recall", "f1")
]


class Figures(msgspec.Struct, kw_only=True):
    """All figures of an evaluation."""

    metrics: dict[str, Metric]
    per_class: list[ClassMetrics] = []
    confusion: Confusion | None = None


class Tally(msgspec.Struct, kw_only=True, frozen=True):
    """Rows by label, (labels,) each: the right ones, those that have it, those given it."""

    hits: NDArray[np.float64]
    support: NDArray[np.int64]
    predicted: NDArray[np.int64]

    def means(self) -> dict[str, float]:
        """Return every mean of precision, recall and F1, by its name.

        Macro figures are over the labels that rows have or that were predicted; a label that was
        never predicted counts as precision 0 there, as in scikit-learn.
        """
        seen = self.support + self.predicted > 0
        rows = max(1, int(self.support.sum()))
        figures = (
            _ratio(self.hits, self.predicted),
            _ratio(self.hits, self.support),
            _ratio(2 * self.hits, self.support + self.predicted),
        )
        all_hits, of_predicted = float(self.hits.sum()), max(1, int(self.predicted.sum()))
        both = max(1, int((self.support + self.predicted).sum()))
        values = [
            *(float(figure[seen].mean()) if seen.any() else 0.0 for figure in figures),
            *(all_hits / of_predicted, all_hits / rows, 2 * all_hits / both),
            *(float((figure * self.support).sum()) / rows for figure in figures),
        ]
        return dict(zip(NAMES, values, strict=True))

    def per_class(self, labels: Sequence[str]) -> list[ClassMetrics]:
        """Return the figures of each label; null where one is not defined."""
        rows = zip(labels, self.hits, self.support.tolist(), self.predicted.tolist(), strict=True)
        return [
            ClassMetrics(
                label=label,
                precision=float(hits) / predicted if predicted else None,
                recall=float(hits) / support if support else None,
                f1=2 * float(hits) / (support + predicted) if support + predicted else None,
                support=support,
            )
            for label, hits, support, predicted in rows
        ]


def undefined(names: Sequence[str]) -> dict[str, Metric]:
    """Return metrics that no row defines."""
    return {name: Metric(value=None, reason=NO_ROWS) for name in names}


def defined(values: dict[str, float]) -> dict[str, Metric]:
    """Return metrics of these values."""
    return {name: Metric(value=float(value)) for name, value in values.items()}


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
