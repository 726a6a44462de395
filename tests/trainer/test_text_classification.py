"""The task: tokens, predictions and figures, against worked cases and scikit-learn."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support
from tests.trainer.tiny_model import LABELS, write_base

from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.tasks.texts import Tokens

TASK = TextClassification()


def test_encoder_cuts_and_says_so(tmp_path: Path) -> None:
    encoder = TASK.encoder(write_base(tmp_path / "base"), 5)

    encoded = encoder(["my card", "the card is lost now", "", "card card card"])

    assert encoded.ids == [[2, 7, 4, 3], [2, 8, 4, 13, 3], [2, 3], [2, 4, 4, 4, 3]]
    assert encoded.truncated == [False, True, False, False]


def test_predictions_are_the_most_probable_labels_first() -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], dtype=np.float32))
    encoded = Tokens(ids=[[1, 2, 3], [1, 3]], truncated=[True, False])

    first, second = TASK.predictions(logits, encoded, LABELS, top_k=2)

    assert [(score.label, round(score.score, 6)) for score in first.scores] == [
        ("loan", 0.5),
        ("rate", 0.3),
    ]
    assert (first.label, first.tokens, first.truncated) == ("loan", 3, True)
    assert second.label == "card"  # of two equal ones the first
    assert [score.label for score in second.scores] == ["card", "loan"]


def test_more_labels_than_there_are_gives_all() -> None:
    encoded = Tokens(ids=[[1]], truncated=[False])

    [only] = TASK.predictions(np.zeros((1, 3), dtype=np.float32), encoded, LABELS, top_k=10)

    assert len(only.scores) == 3
    assert sum(score.score for score in only.scores) == pytest.approx(1.0)


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[3e38, -3e38, 0.0]], dtype=np.float32)

    [only] = TASK.predictions(logits, Tokens(ids=[[1]], truncated=[False]), LABELS, top_k=1)

    assert only.score == 1.0


def test_figures_are_those_of_scikit_learn() -> None:
    """Among six labels one never stands and one neither stands nor is predicted."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(200, 6)).astype(np.float32)
    logits[:, 5] = -9.0
    targets = generator.integers(0, 4, size=200)

    metrics = TASK.scores(logits, targets, list("abcdef")).metrics

    predicted = logits.argmax(1)
    exponentials = np.exp(logits.astype(np.float64))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    expected = {
        "accuracy": accuracy_score(targets, predicted),
        "loss": log_loss(targets, probabilities, labels=range(6)),
    }
    betas = {"f1": 1.0, "f05": 0.5, "f2": 2.0}
    for mean, name in itertools.product(("macro", "micro", "weighted"), betas):
        found = precision_recall_fscore_support(
            targets, predicted, beta=betas[name], average=mean, zero_division=0.0
        )
        expected |= {
            f"{mean}_precision": found[0],
            f"{mean}_recall": found[1],
            f"{mean}_{name}": found[2],
        }
    assert {name: metric.value for name, metric in metrics.items()} == pytest.approx(
        expected, abs=1e-12
    )


def test_figures_of_a_class_by_hand() -> None:
    """True a a a b, predicted a a b b; c neither stands nor is predicted, d is only predicted."""
    predicted = np.array([0, 0, 1, 1, 3])
    targets = np.array([0, 0, 0, 1, 1])
    logits = np.eye(4, dtype=np.float32)[predicted]

    scores = TASK.scores(logits, targets, ["a", "b", "c", "d"])

    a, b, c, d = scores.per_class
    assert (a.precision, a.recall, a.f1, a.support) == (1.0, 2 / 3, 0.8, 3)
    assert (b.precision, b.recall, b.f1, b.support) == (0.5, 0.5, 0.5, 2)
    assert (c.precision, c.recall, c.f1, c.support) == (None, None, None, 0)
    assert (d.precision, d.recall, d.f1, d.support) == (0.0, None, 0.0, 0)
    assert scores.confusion.matrix == [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert scores.metrics["macro_f1"].value == pytest.approx((0.8 + 0.5 + 0.0) / 3)


def test_no_rows_have_no_figures() -> None:
    scores = TASK.scores(
        np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=np.int64), ["a", "b"]
    )

    assert scores.metrics["accuracy"].value is None
    assert scores.metrics["accuracy"].reason == "there are no rows"
    assert scores.confusion.matrix == [[0, 0], [0, 0]]
