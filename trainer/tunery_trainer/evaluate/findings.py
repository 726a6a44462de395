"""Findings: what is wrong with a model's answers, with the numbers that say so and what to do.

Each is a test whose false alarms, over all labels or pairs together, are one in a hundred; what is
too small to matter is left out, too. Knows no file.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tunery.types import ErrorExample, EvaluationFinding, Lineage, Metric, Report
from tunery_trainer.evaluate.merits import (
    ALPHA,
    chance_of_fewer,
    chance_of_more,
    significant,
)
from tunery_trainer.tasks import Judged, Text
from tunery_trainer.tasks.figures import Tally

MOST = 5  # findings of a kind, and examples of a finding
MIN_SUPPORT = 10  # rows of a label that is judged
_SHOWN = 200  # characters of a text
_LEAST_LAG = 0.10  # of a label's recall
_LEAST_TILT = 0.05  # of recall over precision
_LEAST_MISS = 0.02  # of confidence
_MIN_CONFUSED = 3


class Answered:
    """Rows as they were answered, for examples."""

    def __init__(self, texts: Sequence[Text], cells: Sequence[str], judged: Judged) -> None:
        self._texts, self._cells, self._judged = texts, cells, judged

    def examples(self, rows: NDArray[np.int64]) -> list[ErrorExample]:
        """Return those of some rows that the model finds hardest."""
        hardest = rows[np.argsort(-self._judged.losses[rows], kind="stable")][:MOST]
        return [self._example(row) for row in hardest.tolist()]

    def _example(self, row: int) -> ErrorExample:
        text = self._texts[row]
        first, second = (text, None) if isinstance(text, str) else text
        return ErrorExample(
            row=row,
            text=first[:_SHOWN],
            text_pair=None if second is None else second[:_SHOWN],
            label=self._cells[row],
            predicted=self._judged.predicted[row],
        )


def weak_classes(tally: Tally, labels: Sequence[str]) -> Iterator[EvaluationFinding]:
    """Yield the labels whose rows are found less often than those of all others."""
    all_hits, rows = int(tally.hits.sum()), int(tally.support.sum())
    judged = np.flatnonzero((tally.support >= MIN_SUPPORT) & (tally.support < rows))
    rests = [float((all_hits - tally.hits[i]) / (rows - tally.support[i])) for i in judged.tolist()]
    chances = [
        chance_of_fewer(int(tally.hits[i]), int(tally.support[i]), all_hits, rows)
        for i in judged.tolist()
    ]
    found = []
    for i, rest, stands in zip(judged.tolist(), rests, significant(chances), strict=True):
        recall = float(tally.hits[i] / tally.support[i])
        if stands and rest - recall >= _LEAST_LAG:
            found.append(((rest - recall) * tally.support[i], i, recall, rest))
    for _, i, recall, rest in sorted(found, reverse=True)[:MOST]:
        yield EvaluationFinding(
            type="weak-class",
            label=labels[i],
            message=f"{recall:.1%} of the {int(tally.support[i]):,} rows of {labels[i]!r} are "
            f"found, of the other labels {rest:.1%}",
            numbers={"recall": recall, "rest": rest, "support": float(tally.support[i])},
            advice="Read its errors; add training rows, say more clearly what belongs to it, or "
            "merge it with the label that it is taken for.",
        )


def over_predicted(tally: Tally, labels: Sequence[str]) -> Iterator[EvaluationFinding]:
    """Yield the labels that are given wrongly more often than they are missed.

    A label that is missed as often as it is given wrongly is only hard; the sign test tells both
    apart.
    """
    wrong, missed = tally.predicted - tally.hits, tally.support - tally.hits
    erring = np.flatnonzero(wrong + missed > 0).tolist()
    chances = [chance_of_more(int(wrong[i]), int(wrong[i] + missed[i]), 0.5) for i in erring]
    found = []
    for i, stands in zip(erring, significant(chances), strict=True):
        precision = float(tally.hits[i] / max(1, tally.predicted[i]))
        recall = float(tally.hits[i] / tally.support[i]) if tally.support[i] else 1.0
        if stands and recall - precision >= _LEAST_TILT:
            found.append((wrong[i] - missed[i], i, precision, recall))
    for _, i, precision, recall in sorted(found, reverse=True)[:MOST]:
        yield EvaluationFinding(
            type="over-predicts",
            label=labels[i],
            message=f"{labels[i]!r} is given to {int(tally.predicted[i]):,} rows and right for "
            f"{int(tally.hits[i]):,}: precision {precision:.3f}, recall {recall:.3f}",
            numbers={
                "precision": precision,
                "recall": recall,
                "predicted": float(tally.predicted[i]),
                "support": float(tally.support[i]),
            },
            advice="Add training rows of the labels that are taken for it, or weigh classes "
            "(imbalance: class_weights); ask for more certainty before acting on it.",
        )


def confused_pairs(
    matrix: NDArray[np.int64],
    targets: NDArray[np.int64],
    chosen: NDArray[np.int64],
    labels: Sequence[str],
    answered: Answered,
) -> Iterator[EvaluationFinding]:
    """Yield the pairs of labels that are taken for each other more than for any label.

    By chance an error falls on a label as often as that is given at all.

    Shapes: matrix (labels, labels), true by predicted; targets, chosen (rows,).
    """
    errors = matrix.sum(axis=1) - matrix.diagonal()
    given = matrix.sum(axis=0)
    pairs, chances = [], []
    for i, j in combinations(range(len(labels)), 2):
        confused = int(matrix[i, j] + matrix[j, i])
        # With two labels there is no other one to be taken for.
        if confused < _MIN_CONFUSED or len(labels) < 3:
            continue
        by_chance = [
            errors[one] * given[other] / max(1, given.sum() - given[one])
            for one, other in ((i, j), (j, i))
        ]
        trials = int(errors[i] + errors[j])
        pairs.append((confused, i, j))
        chances.append(chance_of_more(confused, trials, min(1.0, sum(by_chance) / trials)))
    # Pairs that are never confused are tests that do not stand.
    every = len(labels) * (len(labels) - 1) // 2
    standing = significant([*chances, *[1.0] * (every - len(chances))])[: len(chances)]
    found = [pair for pair, stands in zip(pairs, standing, strict=True) if stands]
    for confused, i, j in sorted(found, reverse=True)[:MOST]:
        rows = np.flatnonzero(((targets == i) & (chosen == j)) | ((targets == j) & (chosen == i)))
        one, other = (i, j) if matrix[i, j] >= matrix[j, i] else (j, i)
        yield EvaluationFinding(
            type="confused-pair",
            label=labels[one],
            other_label=labels[other],
            message=f"{labels[one]!r} is taken for {labels[other]!r} {matrix[one, other]:,} times, "
            f"the reverse {matrix[other, one]:,} times",
            numbers={
                "rows": confused,
                "there": float(matrix[one, other]),
                "back": float(matrix[other, one]),
                "errors": float(errors[i] + errors[j]),
            },
            advice="Read the examples: if people would part them no better, merge the labels; else "
            "add training rows that show the difference.",
            examples=answered.examples(rows),
        )


def miscalibration(
    confidences: NDArray[np.float64], hits: NDArray[np.bool_], ece: float
) -> Iterator[EvaluationFinding]:
    """Yield whether a model is too sure, or not sure enough: more than luck allows (rows,).

    Source: Spiegelhalter 1986, doi:10.1002/sim.4780050506, of the sum of confidences.
    """
    spread = float(np.sqrt((confidences * (1 - confidences)).sum()))
    if not len(hits) or not spread:
        return
    excess = float(confidences.sum() - hits.sum())
    mean = excess / len(hits)
    if abs(mean) < _LEAST_MISS or math.erfc(abs(excess) / spread / math.sqrt(2)) > ALPHA:
        return
    sure, right = float(confidences.mean()), float(hits.mean())
    yield EvaluationFinding(
        type="over-confident" if excess > 0 else "under-confident",
        label=None,
        message=f"answers say {sure:.1%} on average, and {right:.1%} are right",
        numbers={"confidence": sure, "accuracy": right, "ece": ece},
        advice="Its temperature was fitted to other rows: fine-tune with validation rows that are "
        "like these, and set thresholds by measured precision, not by the score.",
    )


def seen_in_training(
    lineage: Lineage, metrics: dict[str, Metric], metric: str, rows: int
) -> Iterator[EvaluationFinding]:
    """Yield that rows were seen, which makes figures flatter."""
    if not lineage.overlap:
        return
    values = {"with": metrics.get(metric), "without": lineage.without.get(metric)}
    told = {name: each.value for name, each in values.items() if each is not None}
    numbers = {f"{metric}_{name}": value for name, value in told.items() if value is not None}
    yield EvaluationFinding(
        type="seen-in-training",
        label=None,
        message=f"{lineage.overlap:,} of {rows:,} rows stand among those that the model has "
        "learned from",
        numbers={"overlap": lineage.overlap, "rows": rows, **numbers},
        advice="Trust the figures without them (lineage.without), or evaluate on rows that no "
        "dataset of its lineage has.",
    )


def echoes(report: Report) -> Iterator[EvaluationFinding]:
    """Yield what the ingest has found in the dataset, and left in it, that bears on figures."""
    leakage, conflicts = report.leakage, report.conflicts
    if leakage.normalised + leakage.near and not leakage.dropped:
        yield EvaluationFinding(
            type="dataset-leakage",
            label=None,
            message=f"{leakage.normalised + leakage.near:,} held-out rows of the dataset repeat a "
            "training row, or nearly",
            numbers={"normalised": leakage.normalised, "near": leakage.near},
            advice="Register it again with policies.leakage drop_from_train: figures flatter now.",
        )
    if conflicts.texts and not conflicts.dropped:
        yield EvaluationFinding(
            type="dataset-conflicts",
            label=None,
            message=f"{conflicts.texts:,} texts of the dataset stand under several labels",
            numbers={"texts": conflicts.texts, "exact": conflicts.exact},
            advice="No model can be right on all of them: decide which label is meant, by a "
            "relabel transform or policies.conflicts.",
        )
