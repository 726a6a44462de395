"""Metrics by name: what may be told first, choose the best checkpoint, end a run or bind a gate.

`macro_f1` is a figure of all rows, `recall@spam` one of the rows of a label; `f2` is `macro_f2`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tunery.types import ClassMetrics, EarlyStopping, Metric, Task

MEANS = ("macro", "micro", "weighted")
OF_LABEL = ("precision", "recall", "f1", "f05", "f2")
LOWER_IS_BETTER = frozenset({"loss", "hamming_loss", "aurc", "mae", "rmse"})

_MEANS_OF_LABELS = frozenset(f"{mean}_{figure}" for mean in MEANS for figure in OF_LABEL)
# What a validation measures.
METRICS: dict[Task, frozenset[str]] = {
    "text_classification": _MEANS_OF_LABELS | {"accuracy", "loss"},
    "multi_label": _MEANS_OF_LABELS | {"subset_accuracy", "hamming_loss", "loss"},
    "regression": frozenset({"mae", "rmse", "r2", "pearson", "spearman", "loss"}),
}


class HasFigures(Protocol):
    """The figures of some rows."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Of all rows, by name."""
        ...

    @property
    def per_class(self) -> Sequence[ClassMetrics]:
        """Of the labels."""
        ...


def usual_metric(task: Task) -> str:
    """Return what chooses the best checkpoint where nobody says."""
    return "loss" if task == "regression" else "macro_f1"


def full_name(name: str) -> str:
    """Return the name that a figure has among others: F-beta alone is the mean over labels."""
    return f"macro_{name}" if name in {"f1", "f05", "f2"} else name


def parted(name: str) -> tuple[str, str | None]:
    """Return the figure that is named, and the label whose it is; null for one of all rows."""
    figure, at, label = name.partition("@")
    return figure, label if at else None


def chosen_by(stopping: EarlyStopping | None, primary: str | None) -> str | None:
    """Return the figure that chooses the best checkpoint; null where nobody says."""
    asked = primary if stopping is None or stopping.metric == "auto" else stopping.metric
    return None if asked is None else full_name(asked)


def wrong_with(name: str, task: Task, labels: Sequence[str]) -> str | None:
    """Return why a task with these labels has no such figure; null where it has."""
    figure, label = parted(name)
    if label is None:
        if full_name(name) in METRICS[task]:
            return None
        return f"{task} has no {name[:80]}; it has {', '.join(sorted(METRICS[task]))}"
    if task == "regression":
        return f"{task} has no labels, whose {figure} could be meant"
    if figure not in OF_LABEL:
        return f"a label has no {figure[:80]}; it has {', '.join(OF_LABEL)}"
    if label not in labels:
        return f"{label[:80]!r} is none of the {len(labels)} labels"
    return None


def figure_of(figures: HasFigures, name: str) -> float | None:
    """Return a figure by its name; null where it is unknown or not defined."""
    figure, label = parted(name)
    if label is None:
        metric = figures.metrics.get(full_name(name))
        return None if metric is None else metric.value
    of_label = next((each for each in figures.per_class if each.label == label), None)
    if of_label is None or figure not in OF_LABEL:
        return None
    value: float | None = getattr(of_label, figure)
    return value
