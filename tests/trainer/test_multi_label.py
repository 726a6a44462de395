"""Several labels to a text: cells, thresholds, figures against scikit-learn, a whole run."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn import metrics as reference
from tests.trainer.tiny_model import LABELS, Bench, of_kind

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
from tunery_trainer.tasks.multi_label import MultiLabel
from tunery_trainer.tasks.texts import Tokens

TASK = MultiLabel(Fit())


@pytest.mark.parametrize(
    ("cell", "separator", "stored"),
    [
        ('["b", "a", "b"]', None, '["a", "b"]'),
        ("[]", None, "[]"),
        ("b | a|", "|", '["a", "b"]'),
        ("", "|", "[]"),
        ('["a|b"]', "|", '["a|b"]'),
        ('["标签"]', None, '["标签"]'),
    ],
)
def test_cells_that_mean_the_same_are_stored_the_same(
    cell: str, separator: str | None, stored: str
) -> None:
    assert TASK.read(cell, separator) == stored


@pytest.mark.parametrize(
    "cell", ["a", "[1]", '["a"', '{"a": 1}', '[" "]', "[" * 5000, '["a\\u0000"]']
)
def test_cell_that_is_no_list_of_labels_is_unusable(cell: str) -> None:
    with pytest.raises(CellUnusable) as raised:
        TASK.read(cell, None)

    assert raised.value.code == "invalid-label"


def test_targets_are_one_where_a_row_has_the_label() -> None:
    found = TASK.targets(['["a", "c"]', "[]"], ["a", "b", "c"])

    assert found.tolist() == [[1, 0, 1], [0, 0, 0]]
    with pytest.raises(Failure, match="'d'"):
        TASK.targets(['["d"]'], ["a"])


def test_threshold_is_where_f1_is_best() -> None:
    logits = np.log(np.array([[0.9, 0.2], [0.6, 0.1], [0.3, 0.4], [0.2, 0.3]]))
    logits -= np.log1p(-np.exp(logits))
    truth = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], np.float32)

    tuned = TASK.tuned(logits.astype(np.float32), truth)

    # By hand: F1 is 2/3 after the first, 1/2, 4/5 after the third, 2/3; no row has the second.
    assert tuned.fit.thresholds == pytest.approx([0.25, 0.5])


def test_weights_are_bounded_and_none_where_none_are_asked_for() -> None:
    targets = np.zeros((100, 3), np.float32)
    targets[:80, 0] = targets[:20, 1] = targets[:1, 2] = 1.0

    weights = TASK.weights(targets, 3, "class_weights")

    assert weights is not None
    assert weights.tolist() == [1.0, 4.0, 10.0]
    assert TASK.weights(targets, 3, "none") is None


def test_loss_is_the_mean_binary_cross_entropy() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 3)).astype(np.float32)
    truth = (generator.random((5, 3)) < 0.4).astype(np.float32)

    loss = TASK.loss(torch.from_numpy(logits), torch.from_numpy(truth), 0.0, None)
    scored = TASK.scores(logits, truth, list("abc")).metrics["loss"].value

    chance = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean()
    assert float(loss) == pytest.approx(expected, abs=1e-6)  # fp32 against float64
    assert scored == pytest.approx(expected)


def test_figures_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(200, 6)).astype(np.float32)
    truth = (generator.random((200, 6)) < [0.5, 0.3, 0.2, 0.1, 0.02, 0.0]).astype(np.float32)
    logits[:, 4:] -= 9.0  # never predicted, and the last has no row

    found = TASK.scores(logits, truth, list("abcdef"))

    given, true = logits > 0, truth > 0
    values = {name: metric.value for name, metric in found.metrics.items()}
    assert values["subset_accuracy"] == pytest.approx(reference.accuracy_score(true, given))
    assert values["hamming_loss"] == pytest.approx(reference.hamming_loss(true, given))
    for mean in ("macro", "micro", "weighted"):
        seen = range(5) if mean == "macro" else range(6)  # the last stands in no mean of ours
        expected = reference.precision_recall_fscore_support(
            true, given, average=mean, labels=list(seen), zero_division=0
        )
        ours = [values[f"{mean}_{name}"] for name in ("precision", "recall", "f1")]
        assert ours == pytest.approx(expected[:3]), mean
    assert found.confusion is None
    assert found.per_class[5].f1 is None


def test_prediction_names_every_label_above_its_threshold() -> None:
    task = MultiLabel(Fit(thresholds=[0.9, 0.1, 0.5]))
    logits = np.array([[1.0, -1.0, 0.5], [-9.0, -9.0, -9.0]], np.float32)
    tokens = Tokens(ids=[[1, 2], [3]], truncated=[False, True])

    both, none = task.predictions(logits, tokens, ["a", "b", "c"], 2)

    assert (both.label, both.labels) == ("a", ["b", "c"])
    assert [each.label for each in both.scores] == ["a", "c"]
    assert (none.label, none.labels, none.truncated) == ("a", [], True)


def write_rows(path: Path, count: int) -> Path:
    """Write texts that name none, one or two of the labels."""
    texts, cells = [], []
    for i in range(count):
        named = [label for j, label in enumerate(LABELS) if i >> j & 1 and i % 8 != 7]
        texts.append(" ".join(["my", *named[i // 8 % 2 :], *named[: i // 8 % 2], "please"]))
        cells.append(TASK.cell_of(named))
    columns: dict[str, Any] = {"line": range(2, count + 2), "text": texts, "label": cells}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list]:
    bench = Bench(tmp_path_factory.mktemp("multi"))
    write_rows(bench.train, 128)
    write_rows(bench.validation, 40)
    asked = Hyperparameters(epochs=8, learning_rate=5e-3, freeze=())
    return bench, bench.run(bench.spec(task="multi_label", hyperparameters=asked))


def test_labels_are_learned_and_thresholds_stored(trained: tuple[Bench, list]) -> None:
    bench, events = trained

    [done] = of_kind(events, Finetuned)
    best = max(each.metrics["macro_f1"] for each in of_kind(events, CheckpointSaved))
    facts = read_facts(bench.directory / "work/version")

    assert best > 0.9
    assert done.parity is not None
    assert done.parity.labels_changed == 0
    assert len(facts.fit.thresholds) == 3
    assert facts.fit.thresholds != [0.5] * 3
    [saved, *_] = of_kind(events, CheckpointSaved)[::-1]
    assert len(read_facts(bench.directory / "work" / saved.path).fit.thresholds) == 3


def test_step_0_says_what_knowing_no_text_is_worth(trained: tuple[Bench, list]) -> None:
    _, events = trained

    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]

    assert zero.values["majority_subset_accuracy"] == pytest.approx(0.25)  # 10 of 40 rows have none
    assert zero.values["majority_macro_f1"] == 0.0


def test_evaluation_uses_the_stored_thresholds(trained: tuple[Bench, list]) -> None:
    bench, events = trained
    [done] = of_kind(events, Finetuned)
    spec = bench.evaluation(done)
    said: list = []

    program.run(spec, said.append, lambda: False)

    [evaluated] = of_kind(said, Evaluated)
    best = max(each.metrics["macro_f1"] for each in of_kind(events, CheckpointSaved))
    assert evaluated.confusion is None
    assert evaluated.metrics["macro_f1"].value == pytest.approx(best)


def test_what_means_nothing_to_several_labels_is_off_or_refused(
    trained: tuple[Bench, list],
) -> None:
    bench, events = trained
    [resolved] = of_kind(events, HyperparametersResolved)
    asked = {
        Hyperparameters(linear_probe=True): "not-for-task",
        Hyperparameters(label_smoothing=0.1): "not-for-task",
        Hyperparameters(imbalance="class_weights_and_sampling"): "not-for-task",
        Hyperparameters(early_stopping=EarlyStopping(metric="accuracy")): "no-such-metric",
    }

    found = resolved.resolved
    assert (found["linear_probe"].value, found["linear_probe"].source) == (
        False,
        "auto:not-for-multi-label",
    )
    for each, code in asked.items():
        spec = bench.spec("refused", task="multi_label", hyperparameters=each)
        with pytest.raises(Failure) as raised:
            bench.run(spec)
        assert raised.value.code == code


def test_resumed_run_ends_alike(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    write_rows(bench.train, 64)
    write_rows(bench.validation, 40)

    whole, resumed = bench.run_whole_and_resumed(task="multi_label")

    assert msgspec.to_builtins(read_facts(whole)) == msgspec.to_builtins(read_facts(resumed))


def test_a_few_rows_of_each_list_are_rehearsed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    write_rows(bench.train, 64)
    write_rows(bench.validation, 40)
    said: list = []

    dry_run.run(bench.spec(task="multi_label", dry_run=True), said.append, lambda: False)

    assert isinstance(said[-1], DryRan)
