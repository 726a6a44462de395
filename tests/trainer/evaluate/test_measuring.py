"""Every figure against scikit-learn, SciPy or a hand-worked case; intervals against theory."""

import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from tunery.types import Metric
from tunery_trainer.evaluate.measuring import measured
from tunery_trainer.tasks import Fit, Task
from tunery_trainer.tasks.figures import Figures
from tunery_trainer.tasks.multi_label import MultiLabel, sigmoid
from tunery_trainer.tasks.regression import Regression
from tunery_trainer.tasks.text_classification import TextClassification, softmax

LABELS = list("abcdef")
MEANS = ("macro", "micro", "weighted")


def figures_of(task: Task, logits: NDArray[np.float32], targets: NDArray, labels=LABELS) -> Figures:
    judged = task.judged(logits, targets, labels)
    return measured(task, logits, targets, judged, labels, task.primary_metric)


def values(metrics: dict[str, Metric]) -> dict[str, float]:
    return {name: each.value for name, each in metrics.items() if each.value is not None}


def uneven() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 400 rows of six labels of which the first has half, mostly answered right."""
    generator = np.random.default_rng(1)
    targets = generator.choice(6, size=400, p=[0.5, 0.2, 0.1, 0.1, 0.06, 0.04])
    logits = generator.normal(size=(400, 6)) + 2.0 * np.eye(6)[targets]
    return logits.astype(np.float32), targets


def lacking() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows of which none has the label e, and none has or is given f."""
    generator = np.random.default_rng(2)
    targets = generator.integers(0, 4, size=150)
    logits = generator.normal(size=(150, 6)) + np.eye(6)[targets]
    logits[:, 5] = -9.0
    return logits.astype(np.float32), targets


def constant() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows that are all given the label b."""
    targets = np.arange(60) % 3
    return np.tile(np.array([0.5, 2.0, 0.0, -1.0, -1.0, -1.0], np.float32), (60, 1)), targets


@pytest.mark.parametrize("rows", [uneven, lacking, constant])
def test_figures_of_one_label_are_those_of_scikit_learn(rows) -> None:
    logits, targets = rows()

    found = values(figures_of(TextClassification(), logits, targets).metrics)

    probabilities, predicted = softmax(logits), logits.argmax(1)
    present = np.unique(targets)
    truth = np.eye(6, dtype=bool)[targets][:, present]
    expected = {
        "accuracy": sk.accuracy_score(targets, predicted),
        "loss": sk.log_loss(targets, probabilities, labels=range(6)),
        "kappa": sk.cohen_kappa_score(targets, predicted),
        "roc_auc": sk.roc_auc_score(truth, probabilities[:, present], average="macro"),
        "pr_auc": sk.average_precision_score(truth, probabilities[:, present], average="macro"),
        **{
            f"top_{k}_accuracy": sk.top_k_accuracy_score(
                targets, probabilities, k=k, labels=range(6)
            )
            for k in (3, 5)
        },
    }
    with warnings.catch_warnings():  # of labels that no row has
        warnings.simplefilter("ignore")
        expected["balanced_accuracy"] = sk.balanced_accuracy_score(targets, predicted)
    if rows is not constant:
        expected["mcc"] = sk.matthews_corrcoef(targets, predicted)
    for beta, name in ((0.5, "f05"), (1.0, "f1"), (2.0, "f2")):
        for mean in MEANS:
            precision, recall, f_beta, _ = sk.precision_recall_fscore_support(
                targets, predicted, beta=beta, average=mean, zero_division=0.0
            )
            expected |= {f"{mean}_precision": precision, f"{mean}_recall": recall}
            expected[f"{mean}_{name}"] = f_beta
    del found["ece"], found["aurc"]
    if rows is constant:
        # Where all are alike, scikit-learn's ranking of equal ones is another.
        for k in (3, 5):
            del found[f"top_{k}_accuracy"], expected[f"top_{k}_accuracy"]
    assert found == pytest.approx(expected, abs=1e-9)


def test_figures_of_each_class_are_those_of_scikit_learn() -> None:
    logits, targets = lacking()

    per_class = figures_of(TextClassification(), logits, targets).per_class

    probabilities, predicted = softmax(logits), logits.argmax(1)
    for i, each in enumerate(per_class[:4]):
        own, given = targets == i, predicted == i
        expected = [
            *(sk.fbeta_score(own, given, beta=beta) for beta in (0.5, 1, 2)),
            sk.roc_auc_score(own, probabilities[:, i]),
            sk.average_precision_score(own, probabilities[:, i]),
        ]
        found = [each.f05, each.f1, each.f2, each.roc_auc, each.pr_auc]
        assert found == pytest.approx(expected, abs=1e-9)
    assert (per_class[4].recall, per_class[4].roc_auc, per_class[4].pr_auc) == (None, None, None)
    assert (per_class[5].precision, per_class[5].f2) == (None, None)


def test_no_rounding_takes_a_share_above_1() -> None:
    """All is right; sums of shares come out at 1.0000000000000002 for some of these counts."""
    for rows in range(1, 80):
        truth = np.ones((rows + 1, 2), np.float32)
        truth[-1] = 0
        logits = np.where(truth > 0, np.linspace(1, 2, rows + 1)[:, None], -1).astype(np.float32)

        found = figures_of(MultiLabel(Fit()), logits, truth, ["a", "b"])

        for each in found.per_class:
            shares = (each.precision, each.f05, each.f1, each.f2, each.roc_auc, each.pr_auc)
            assert max(shares) <= 1.0
            assert min(shares) == pytest.approx(1.0)


def test_what_a_constant_answer_leaves_undefined_is_null_with_a_reason() -> None:
    found = figures_of(TextClassification(), *constant()).metrics

    assert found["mcc"] == Metric(
        value=None, reason="all rows have the same label, or are given the same"
    )
    assert (found["kappa"].value, found["roc_auc"].value) == (0.0, 0.5)


def test_rows_of_a_single_label_have_no_curve() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)

    found = figures_of(TextClassification(), logits, np.array([0, 0]), ["a", "b"]).metrics

    assert found["roc_auc"] == Metric(
        value=None, reason="no label is one that some rows have and others lack"
    )
    assert found["accuracy"].value == 0.5
    assert "top_3_accuracy" not in found


def test_no_rows_have_no_figures() -> None:
    for task, shape, targets in (
        (TextClassification(), (0, 6), np.zeros(0, np.int64)),
        (MultiLabel(Fit()), (0, 6), np.zeros((0, 6), np.float32)),
        (Regression(Fit()), (0, 1), np.zeros(0)),
    ):
        found = figures_of(task, np.zeros(shape, np.float32), targets).metrics

        assert {each.value for each in found.values()} == {None}
        assert {each.reason for each in found.values()} == {"there are no rows"}


def test_the_calibration_error_by_hand() -> None:
    """Two rows at 0.9, one of them right, and two at 0.6, both right."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    logits = np.log(probabilities).astype(np.float32)

    found = figures_of(TextClassification(), logits, np.array([0, 1, 0, 0]), ["a", "b"])

    assert found.metrics["ece"].value == pytest.approx(0.5 * 0.4 + 0.5 * 0.4, abs=1e-6)


def test_top_k_by_hand() -> None:
    """The label is second, fourth and first of four."""
    logits = np.array([[3, 2, 1, 0], [3, 2, 1, 0], [3, 2, 1, 0]], np.float32)

    found = figures_of(TextClassification(), logits, np.array([1, 3, 0]), list("abcd"))

    assert found.metrics["top_3_accuracy"].value == pytest.approx(2 / 3)
    assert "top_5_accuracy" not in found.metrics


def test_figures_of_several_labels_are_those_of_scikit_learn() -> None:
    """No row has the last label, and no row is given the one before."""
    generator = np.random.default_rng(3)
    truth = (generator.random((200, 5)) < [0.4, 0.3, 0.2, 0.1, 0.0]).astype(np.float32)
    logits = (generator.normal(size=(200, 5)) + 2 * truth - 1).astype(np.float32)
    task = MultiLabel(Fit(thresholds=[0.5, 0.4, 0.6, 1.0, 0.5]))

    found = figures_of(task, logits, truth, LABELS[:5])

    probabilities = sigmoid(logits)
    given = probabilities >= np.array([0.5, 0.4, 0.6, 1.0, 0.5])
    expected = {
        "subset_accuracy": sk.accuracy_score(truth, given),
        "hamming_loss": sk.hamming_loss(truth, given),
        "loss": sk.log_loss(truth.reshape(-1), probabilities.reshape(-1)),
        "roc_auc": sk.roc_auc_score(truth[:, :4], probabilities[:, :4], average="macro"),
        "pr_auc": sk.average_precision_score(truth[:, :4], probabilities[:, :4], average="macro"),
    }
    seen = [i for i in range(5) if truth[:, i].any() or given[:, i].any()]
    for beta, name in ((0.5, "f05"), (1.0, "f1"), (2.0, "f2")):
        for mean in MEANS:
            precision, recall, f_beta, _ = sk.precision_recall_fscore_support(
                truth[:, seen], given[:, seen], beta=beta, average=mean, zero_division=0.0
            )
            expected |= {f"{mean}_precision": precision, f"{mean}_recall": recall}
            expected[f"{mean}_{name}"] = f_beta
    assert values(found.metrics) == pytest.approx(expected, abs=1e-7)
    assert (found.per_class[3].precision, found.per_class[3].recall) == (None, 0.0)


def test_figures_of_numbers_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(4)
    targets = np.round(generator.normal(1000, 3, size=300), 1)  # with ties, far from zero
    logits = ((targets - 1000) / 3 + generator.normal(size=300))[:, None].astype(np.float32)

    found = values(figures_of(Regression(Fit(mean=1000.0, deviation=3.0)), logits, targets).metrics)

    answered = logits[:, 0].astype(np.float64) * 3 + 1000
    assert found == pytest.approx(
        {
            "mae": sk.mean_absolute_error(targets, answered),
            "rmse": math.sqrt(sk.mean_squared_error(targets, answered)),
            "loss": sk.mean_squared_error(targets, answered) / 9,
            "r2": sk.r2_score(targets, answered),
            "pearson": stats.pearsonr(answered, targets).statistic,
            "spearman": stats.spearmanr(answered, targets).statistic,
        },
        abs=1e-9,
    )


def test_numbers_that_are_all_the_same_have_no_correlation() -> None:
    logits = np.array([[0.1], [0.2]], np.float32)

    found = figures_of(Regression(Fit(mean=5.0)), logits, np.array([5.0, 5.0])).metrics

    assert {name for name, each in found.items() if each.value is None} == {
        *("r2", "pearson", "spearman")
    }
    assert found["r2"].reason == "all rows have the same number"


def test_the_interval_of_an_accuracy_is_as_wide_as_theory_says() -> None:
    """900 of 1,000 rows: 1.96 standard errors of 0.0095; two labels of like accuracy."""
    targets = np.arange(1000) % 2
    chosen = np.where(np.arange(1000) % 10 == 0, 1 - targets, targets)
    logits = (4 * np.eye(2)[chosen]).astype(np.float32)

    accuracy = figures_of(TextClassification(), logits, targets, ["a", "b"]).metrics["accuracy"]

    half = 1.96 * math.sqrt(0.9 * 0.1 / 1000)
    assert accuracy.value == 0.9
    # A percentile of 1,000 draws is right to about a tenth of the half width.
    assert accuracy.low == pytest.approx(0.9 - half, abs=0.1 * half)
    assert accuracy.high == pytest.approx(0.9 + half, abs=0.1 * half)


def test_intervals_are_stratified() -> None:
    """Of a label whose rows are all right no draw has fewer, so that recalls don't move."""
    targets = np.array([0] * 50 + [1] * 50)
    chosen = np.array([0] * 50 + [1] * 25 + [0] * 25)
    logits = (4 * np.eye(2)[chosen]).astype(np.float32)

    found = figures_of(TextClassification(), logits, targets, ["a", "b"]).metrics

    assert found["accuracy"].low >= 0.5
    assert found["accuracy"].low == pytest.approx(found["macro_recall"].low)


def test_every_interval_holds_its_figure() -> None:
    for figures in (
        figures_of(TextClassification(), *uneven()),
        figures_of(
            Regression(Fit()),
            np.linspace(-1, 1, 50)[:, None].astype(np.float32),
            np.linspace(-1, 1, 50) ** 3,
        ),
    ):
        with_interval = {n: m for n, m in figures.metrics.items() if m.low is not None}

        assert len(with_interval) >= 6
        assert all(each.low <= each.value <= each.high for each in with_interval.values())


def test_an_evaluation_made_twice_has_the_same_intervals() -> None:
    assert figures_of(TextClassification(), *uneven()) == figures_of(
        TextClassification(), *uneven()
    )
