"""Comparison: what the stored rows of two evaluations of the same split say of their models.

Owns which rows are shown. Imports no torch.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tunery.types import Change, ChangedRow, PairedFigures
from tunery_trainer.evaluate.paired import (
    Paired,
    kinds_of,
    paired_labels,
    paired_means,
    paired_numbers,
)
from tunery_trainer.evaluate.stored_rows import rows_at
from tunery_trainer.tasks import Task

MOST = 20  # rows shown of each kind
_SHOWN = 200  # characters of a text


class _Rows(NamedTuple):
    """Shapes: (rows,) each."""

    label: NDArray[np.object_]
    predicted: NDArray[np.object_]
    loss: NDArray[np.float64]


def compare(task: Task, one: Path, other: Path) -> PairedFigures:
    """Return how one evaluation's answers do beside another one's."""
    ours, theirs = _read(one), _read(other)
    if not len(ours.label):
        return PairedFigures(
            rows=0, metrics={}, tests=[], changed=None, labels=[], fixed=[], broken=[]
        )
    paired, gains = _labels(task, ours, theirs) if task.has_labels else _numbers(ours, theirs)
    order = np.argsort(-gains, kind="stable")
    fixed = order[gains[order] > 0][:MOST]
    broken = order[::-1][gains[order[::-1]] < 0][:MOST]
    return PairedFigures(
        rows=len(ours.label),
        metrics=paired.metrics,
        tests=paired.tests,
        changed=paired.changed,
        labels=list(paired.labels),
        fixed=_shown(one, fixed, ours, theirs),
        broken=_shown(one, broken, ours, theirs),
    )


def _read(path: Path) -> _Rows:
    table = pq.read_table(path, columns=list(_Rows._fields))
    return _Rows(*(table.column(name).to_numpy() for name in _Rows._fields))


def _labels(task: Task, ours: _Rows, theirs: _Rows) -> tuple[Paired, NDArray[np.float64]]:
    """Return how they compare, and what each row that was fixed or broken has gained."""
    single = task.name == "text_classification"
    kinds = kinds_of(
        ours.label.tolist(),
        ours.predicted.tolist(),
        theirs.predicted.tolist(),
        task.labels_of,
        single=single,
    )
    paired = paired_labels(kinds, single=single)
    if single:  # of several labels, a mean over those that each model knows
        strata = np.unique(ours.label, return_inverse=True)[1]
        loss: dict[str, Change] = {"loss": paired_means(ours.loss, theirs.loss, strata)}
        paired = paired._replace(metrics=paired.metrics | loss)
    turned = (ours.predicted == ours.label) ^ (theirs.predicted == theirs.label)
    sign = np.where(ours.predicted == ours.label, 1, -1)
    return paired, turned * sign * (1 + np.abs(theirs.loss - ours.loss))


def _numbers(ours: _Rows, theirs: _Rows) -> tuple[Paired, NDArray[np.float64]]:
    # Not the stored losses: each is in deviations of its own model's training rows.
    truth, one, other = (
        cells.astype(np.float64) for cells in (ours.label, ours.predicted, theirs.predicted)
    )
    return paired_numbers(truth, one, other), np.abs(other - truth) - np.abs(one - truth)


def _shown(path: Path, places: NDArray[np.int64], ours: _Rows, theirs: _Rows) -> list[ChangedRow]:
    return [
        ChangedRow(
            row=row["row"],
            line=row["line"],
            text=row["text"][:_SHOWN],
            text_pair=None if row.get("text_pair") is None else row["text_pair"][:_SHOWN],
            label=row["label"],
            a=ours.predicted[place],
            b=theirs.predicted[place],
        )
        for place, row in zip(places.tolist(), rows_at(path, places), strict=True)
    ]
