"""Metrics by name: which there are, and what a name means among figures."""

import numpy as np
import pytest

from tunery.types import ClassMetrics, Metric
from tunery_trainer.protocol.metrics import METRICS, figure_of, full_name, wrong_with
from tunery_trainer.tasks import task_named
from tunery_trainer.tasks.figures import Figures

FIGURES = Figures(
    metrics={"macro_f2": Metric(value=0.7), "roc_auc": Metric(value=None, reason="none")},
    per_class=[ClassMetrics(label="a@b", precision=None, recall=0.25, f1=0.4, support=4)],
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("macro_f2", 0.7),
        ("f2", 0.7),
        ("recall@a@b", 0.25),
        ("precision@a@b", None),
        ("support@a@b", None),
        ("recall@a", None),
        ("roc_auc", None),
        ("accuracy", None),
    ],
)
def test_a_figure_by_its_name(name: str, value: float | None) -> None:
    assert figure_of(FIGURES, name) == value


@pytest.mark.parametrize(
    ("name", "task", "why"),
    [
        ("macro_f05", "text_classification", None),
        ("f2", "multi_label", None),
        ("recall@spam", "text_classification", None),
        ("rmse", "regression", None),
        ("auc", "text_classification", "text_classification has no auc; it has accuracy, loss"),
        ("accuracy", "multi_label", "multi_label has no accuracy"),
        ("recall@egg", "multi_label", "'egg' is none of the 2 labels"),
        ("support@spam", "text_classification", "a label has no support; it has precision"),
        ("recall@spam", "regression", "regression has no labels"),
    ],
)
def test_what_is_wrong_with_a_name(name: str, task: str, why: str | None) -> None:
    found = wrong_with(name, task, ["spam", "ham"])

    assert found is None if why is None else found is not None and found.startswith(why)


@pytest.mark.parametrize("name", METRICS)
def test_a_task_measures_what_may_be_named(name: str) -> None:
    task = task_named(name)
    labels = ["a", "b"] if task.has_labels else []
    cells = [task.cell_of([label]) for label in "aba"] if labels else ["1", "2", "4"]
    targets = task.targets(cells, labels)
    logits = np.arange(3 * task.outputs(len(labels)), dtype=np.float32).reshape(3, -1)

    found = task.scores(logits, targets, labels).metrics

    assert set(found) >= METRICS[name]
    assert {full_name(each) for each in METRICS[name]} == METRICS[name]
