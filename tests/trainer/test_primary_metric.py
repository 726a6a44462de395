"""The metric that a model is judged by chooses its checkpoint and is told first."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.trainer.test_optimization import settings_of
from tests.trainer.tiny_model import LABELS, Bench, of_kind

from tunery_trainer.evaluate import program
from tunery_trainer.failure import Failure
from tunery_trainer.protocol.events import (
    AnyEvent,
    Evaluated,
    Finetuned,
    HyperparametersResolved,
    MetricLogged,
)
from tunery_trainer.state import TrainingState
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.validation import Measure, judge

PRIMARY = f"recall@{LABELS[1]}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_is_measured_chooses_and_is_told_first(bench: Bench) -> None:
    events = bench.run(bench.spec(primary_metric=PRIMARY))

    [resolved] = of_kind(events, HyperparametersResolved)
    stopping = resolved.resolved["early_stopping"]
    assert (stopping.value["metric"], stopping.source) == (PRIMARY, "auto:primary-metric")
    logged = {each.step: each.values for each in of_kind(events, MetricLogged)}
    assert {f"majority_{PRIMARY}", PRIMARY} <= logged[0].keys()
    validated = {step: values[PRIMARY] for step, values in logged.items() if PRIMARY in values}
    [done] = of_kind(events, Finetuned)
    best = max(value for step, value in validated.items() if step)
    assert validated[done.best_step] == best
    said: list[AnyEvent] = []
    program.run(bench.evaluation(done), said.append, lambda: False)
    [evaluated] = of_kind(said, Evaluated)
    assert evaluated.primary_metric == PRIMARY
    figure = evaluated.metrics[PRIMARY]
    of_label = next(each for each in evaluated.per_class if each.label == LABELS[1])
    assert figure.value == of_label.recall == validated[done.best_step]
    assert figure.low is not None
    assert figure.low <= figure.value <= (figure.high or 0)
    assert evaluated.baselines.keys() >= {"majority", "tfidf"}


def test_an_evaluation_may_name_another_one(bench: Bench) -> None:
    [done] = of_kind(bench.run(bench.spec(primary_metric=PRIMARY)), Finetuned)
    said: list[AnyEvent] = []

    spec = msgspec.structs.replace(bench.evaluation(done), primary_metric="f2")
    program.run(spec, said.append, lambda: False)

    [evaluated] = of_kind(said, Evaluated)
    assert evaluated.primary_metric == "macro_f2"
    assert PRIMARY not in evaluated.metrics


def test_a_label_that_no_validation_row_has_can_not_choose(bench: Bench) -> None:
    spec = bench.spec(labels=[*LABELS, "zebra"], primary_metric="recall@zebra")

    with pytest.raises(Failure) as raised:
        bench.run(spec)

    assert raised.value.code == "no-such-metric"
    assert "no validation row has 'zebra'" in str(raised.value)


@pytest.mark.parametrize(("metric", "best"), [("rmse", 2), ("r2", 3), ("loss", 1)])
def test_less_is_better_of_errors(metric: str, best: int) -> None:
    state = TrainingState()
    figures = [
        {"validation_loss": 0.1, "rmse": 3.0, "r2": 0.1},
        {"validation_loss": 0.2, "rmse": 1.0},  # r2 is not defined
        {"validation_loss": 0.3, "rmse": 2.0, "r2": 0.5},
    ]

    for step, each in enumerate(figures, 1):
        state.step = step
        judge(each, state, settings_of(early_stopping=None), metric)

    assert state.best_step == best


def test_a_label_that_is_never_given_has_no_precision_to_choose_by() -> None:
    measure = Measure(TextClassification(), ["a", "b"], "precision@b")

    found = measure.figures(np.array([[1.0, 0.0]] * 3, np.float32), np.array([0, 1, 0]))

    assert found["precision@b"] == 0.0
    assert "macro_f2" not in found
