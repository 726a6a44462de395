"""A number to a text: cells, figures against SciPy and scikit-learn, a run in its own unit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats
from sklearn import metrics as reference
from tests.trainer.tiny_model import Bench, of_kind

from tunery.types import EarlyStopping, Hyperparameters
from tunery_trainer import dry_run
from tunery_trainer.evaluate import program
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol.events import (
    CheckpointSaved,
    DryRan,
    Evaluated,
    Finetuned,
    HyperparametersResolved,
    MetricLogged,
)
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.cells import CellUnusable
from tunery_trainer.tasks.regression import Regression
from tunery_trainer.tasks.texts import Tokens

VALUES = {"card": 1000.0, "loan": 1500.0, "rate": 2300.0}
FILLERS = ["my", "the", "please", "about", "now", "why"]


@pytest.mark.parametrize(
    ("cell", "stored"),
    [("3", "3"), (" 3.50 ", "3.5"), ("-1e-3", "-0.001"), ("0.1234567890123", "0.1234567890123")],
)
def test_numbers_are_stored_plainly(cell: str, stored: str) -> None:
    assert Regression(Fit()).read(cell, None) == stored


@pytest.mark.parametrize(
    "cell", ["nan", "inf", "1e999", "3,5", "five", "1_000", "٣", "2 kg", "1e101"]
)
def test_cell_that_is_no_finite_number_is_unusable(cell: str) -> None:
    with pytest.raises(CellUnusable) as raised:
        Regression(Fit()).read(cell, None)

    assert raised.value.code == "not-a-number"


def test_loss_is_the_squared_error_in_deviations() -> None:
    targets = np.array([10.0, 30.0, 50.0])
    task = Regression(Fit()).fitted(targets)

    loss = task.loss(torch.tensor([[0.0], [1.0], [0.0]]), torch.from_numpy(targets), 0.0, None)

    deviation = (200 * 4 / 3) ** 0.5
    assert task.fit.mean == 30.0
    assert task.fit.deviation == pytest.approx(deviation)
    assert float(loss) == pytest.approx((2 * (20 / deviation) ** 2 + 1) / 3)


def test_figures_are_those_of_scikit_learn_and_scipy() -> None:
    generator = np.random.default_rng(0)
    targets = np.round(generator.normal(7.0, 3.0, 300))  # with ties
    task = Regression(Fit()).fitted(targets)
    logits = (0.6 * (targets - 7) / 3 + generator.normal(0, 0.5, 300)).astype(np.float32)[:, None]

    found = task.scores(logits, targets, [])

    given = logits[:, 0].astype(np.float64) * task.fit.deviation + task.fit.mean
    values = {name: metric.value for name, metric in found.metrics.items()}
    assert values["mae"] == pytest.approx(reference.mean_absolute_error(targets, given))
    assert values["rmse"] == pytest.approx(reference.root_mean_squared_error(targets, given))
    assert values["r2"] == pytest.approx(reference.r2_score(targets, given))
    assert values["pearson"] == pytest.approx(stats.pearsonr(targets, given).statistic)
    assert values["spearman"] == pytest.approx(stats.spearmanr(targets, given).statistic)
    assert (found.per_class, found.confusion) == ([], None)


def test_figures_of_rows_that_do_not_differ_are_null() -> None:
    found = Regression(Fit()).scores(np.zeros((3, 1), np.float32), np.ones(3), [])

    assert found.metrics["mae"].value == 1.0
    assert [found.metrics[name].value for name in ("r2", "pearson", "spearman")] == [None] * 3
    assert found.metrics["r2"].reason == "all rows have the same number"


def test_answer_is_in_the_unit_of_the_rows() -> None:
    task = Regression(Fit(mean=100.0, deviation=20.0))

    [answer] = task.predictions(
        np.array([[-0.5]], np.float32), Tokens(ids=[[1, 2]], truncated=[False]), [], 1
    )

    assert (answer.value, answer.label, answer.scores, answer.tokens) == (90.0, "", [], 2)


def write_rows(path: Path, count: int) -> Path:
    names = list(VALUES)
    texts = [f"{FILLERS[i % 6]} {names[i % 3]} {FILLERS[i // 3 % 6]}" for i in range(count)]
    cells = [f"{VALUES[names[i % 3]]:g}" for i in range(count)]
    columns: dict[str, Any] = {"line": range(2, count + 2), "text": texts, "label": cells}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list]:
    bench = Bench(tmp_path_factory.mktemp("regression"))
    write_rows(bench.train, 90)
    write_rows(bench.validation, 21)
    asked = Hyperparameters(epochs=8, learning_rate=5e-3, freeze=())
    return bench, bench.run(bench.spec(task="regression", labels=[], hyperparameters=asked))


def test_numbers_are_learned_and_beat_the_mean(trained: tuple[Bench, list]) -> None:
    bench, events = trained

    [done] = of_kind(events, Finetuned)
    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]
    best = min(each.metrics["mae"] for each in of_kind(events, CheckpointSaved))
    facts = read_facts(bench.directory / "work/version")

    assert zero.values["mean_mae"] == pytest.approx(466.67, abs=0.01)  # by hand: (600+100+700)/3
    assert best < 100
    assert facts.fit.mean == 1600.0
    assert done.parity is not None
    assert done.parity.labels_changed == 0


def test_layout_for_others_ends_in_the_unit_of_the_rows(trained: tuple[Bench, list]) -> None:
    bench, _ = trained
    version = bench.directory / "work/version"

    modules = json.loads((version / "modules.json").read_text())
    unit = load_file(version / "4_Dense/model.safetensors")

    fit = read_facts(version).fit
    assert [each["path"] for each in modules][-2:] == ["3_Dense", "4_Dense"]
    assert unit["linear.bias"].tolist() == [1600.0]
    assert unit["linear.weight"].item() == pytest.approx(fit.deviation)  # fp32


def test_early_stopping_looks_at_the_loss(trained: tuple[Bench, list]) -> None:
    _, events = trained

    [resolved] = of_kind(events, HyperparametersResolved)

    found = resolved.resolved
    assert found["early_stopping"].value == {"metric": "loss", "patience": 3, "min_delta": 0.0}
    assert found["early_stopping"].source == "default"
    assert (found["imbalance"].value, found["imbalance"].source) == (
        "none",
        "auto:not-for-regression",
    )


def test_evaluation_is_in_the_unit_of_the_rows(trained: tuple[Bench, list]) -> None:
    bench, events = trained
    [done] = of_kind(events, Finetuned)
    spec = bench.evaluation(done)
    said: list = []

    program.run(spec, said.append, lambda: False)

    [evaluated] = of_kind(said, Evaluated)
    assert evaluated.runtime == "openvino"
    assert evaluated.metrics["mae"].value < 100
    assert evaluated.per_class == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Hyperparameters(linear_probe=True), "not-for-task"),
        (Hyperparameters(imbalance="class_weights"), "not-for-task"),
        (Hyperparameters(early_stopping=EarlyStopping(metric="accuracy")), "no-such-metric"),
    ],
)
def test_what_means_nothing_to_numbers_is_refused(
    bench: Bench, asked: Hyperparameters, code: str
) -> None:
    write_rows(bench.train, 30)
    write_rows(bench.validation, 9)

    with pytest.raises(Failure) as raised:
        bench.run(bench.spec(task="regression", labels=[], hyperparameters=asked))

    assert raised.value.code == code


def test_a_few_rows_are_rehearsed(bench: Bench) -> None:
    write_rows(bench.train, 90)
    write_rows(bench.validation, 21)
    said: list = []

    dry_run.run(bench.spec(task="regression", labels=[], dry_run=True), said.append, lambda: False)

    assert isinstance(said[-1], DryRan)
