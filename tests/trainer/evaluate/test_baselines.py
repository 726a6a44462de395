"""Baselines: that they learn what a linear model can, and say what they have read."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from tunery_trainer.evaluate import baselines
from tunery_trainer.evaluate.baselines import compared
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.multi_label import MultiLabel
from tunery_trainer.tasks.regression import Regression
from tunery_trainer.tasks.text_classification import TextClassification

WORDS = ["apple", "banana", "cherry"]


def rows(count: int) -> tuple[list[str], np.ndarray]:
    targets = np.arange(count) % 3
    return [f"{i} {WORDS[target]} please" for i, target in enumerate(targets)], targets


def test_tfidf_learns_words_and_the_majority_does_not() -> None:
    texts, targets = rows(60)
    targets = np.append(targets, [2])
    held_out, truth = rows(30)

    found = compared(
        TextClassification(),
        [*texts, "cherry"],
        targets,
        held_out=held_out,
        truth=truth,
        labels=WORDS,
        primary="accuracy",
        alive=lambda: None,
    )

    assert found.figures == {"majority": pytest.approx(1 / 3), "tfidf": 1.0}
    assert found.tfidf_rows == 61
    assert accuracy_score(truth, found.tfidf.argmax(1)) == 1.0


def test_labels_that_training_lacks_are_never_answered() -> None:
    texts, targets = rows(30)

    found = compared(
        TextClassification(),
        texts,
        targets,
        held_out=texts,
        truth=targets,
        labels=[*WORDS, "date"],
        primary="accuracy",
        alive=lambda: None,
    )

    assert (found.tfidf.argmax(1) < 3).all()


def test_two_labels_have_two_logits() -> None:
    texts, targets = ["good", "bad"] * 20, np.array([1, 0] * 20)

    found = compared(
        TextClassification(),
        texts,
        targets,
        held_out=["very good", "so bad"],
        truth=np.array([1, 0]),
        labels=["bad", "good"],
        primary="accuracy",
        alive=lambda: None,
    )

    assert found.figures["tfidf"] == 1.0


def test_one_label_alone_is_nothing_to_learn() -> None:
    found = compared(
        TextClassification(),
        ["a", "b"],
        np.array([0, 0]),
        held_out=["c"],
        truth=np.array([0]),
        labels=["x", "y"],
        primary="accuracy",
        alive=lambda: None,
    )

    assert (found.figures, found.tfidf, found.tfidf_rows) == ({"majority": 1.0}, None, 0)


def test_several_labels_are_learned_one_by_one() -> None:
    """The last label has all rows, the one before none."""
    texts = ["apple", "banana", "apple banana", "neither"] * 10
    truth = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 1]] * 10, np.float32)

    found = compared(
        MultiLabel(Fit(thresholds=[0.9, 0.9, 0.9, 0.9])),
        texts,
        truth,
        held_out=texts[:4],
        truth=truth[:4],
        labels=list("abcd"),
        primary="micro_f1",
        alive=lambda: None,
    )

    assert found.figures["tfidf"] == 1.0
    assert (found.tfidf > 0).tolist() == (truth[:4] > 0).tolist()


def test_numbers_are_answered_in_their_own_unit() -> None:
    texts = ["cheap"] * 20 + ["dear"] * 20
    targets = np.array([10.0] * 20 + [90.0] * 20)

    found = compared(
        Regression(Fit(mean=50.0, deviation=40.0)),
        texts,
        targets,
        held_out=["cheap", "dear"],
        truth=np.array([10.0, 90.0]),
        labels=[],
        primary="mae",
        alive=lambda: None,
    )

    assert found.figures["mean"] == 40.0
    assert found.figures["tfidf"] < 4.0


def test_pairs_are_read_as_one_text() -> None:
    texts = [("one", "good"), ("one", "bad")] * 20

    found = compared(
        TextClassification(),
        texts,
        np.array([1, 0] * 20),
        held_out=texts[:2],
        truth=np.array([1, 0]),
        labels=["bad", "good"],
        primary="accuracy",
        alive=lambda: None,
    )

    assert found.figures["tfidf"] == 1.0


def test_more_rows_than_seconds_allow_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, targets = rows(60)  # of 15 characters or so
    monkeypatch.setattr(baselines, "MAX_WORK", 23 * 300)  # 300 characters of three labels

    found = compared(
        TextClassification(),
        texts,
        targets,
        held_out=texts,
        truth=targets,
        labels=WORDS,
        primary="accuracy",
        alive=lambda: None,
    )

    assert 15 <= found.tfidf_rows <= 21
