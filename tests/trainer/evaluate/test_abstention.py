"""Abstaining in evaluations: coverage, what is right of it, the area, the thresholds."""

import numpy as np
import pytest

from tunery.types import AbstainByPrecision
from tunery_trainer.evaluate.abstention import abstention_of, risk_area
from tunery_trainer.evaluate.measuring import measured
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.text_classification import TextClassification

LABELS = ["a", "b", "c"]
WANTED = AbstainByPrecision(precision=0.9)
# The most probable labels are a, a, a, b; with 0.8, 0.6, 0.7 and 0.5. The third is wrong.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.7, 0.2, 0.1], [0.3, 0.5, 0.2]])
LOGITS = np.log(PROBABILITIES).astype(np.float32)
TARGETS = np.array([0, 0, 2, 1])


def test_area_is_the_mean_of_the_risk_at_each_coverage() -> None:
    """Surest first: right, wrong, right, right: risks of 0, 1/2, 1/3, 1/4."""
    scores, hits = PROBABILITIES.max(axis=1), np.array([True, True, False, True])
    whole = np.ones((1, 4), np.float32)

    assert risk_area(scores, hits, whole) == pytest.approx([(1 / 2 + 1 / 3 + 1 / 4) / 4])


def test_rows_of_the_same_score_have_one_risk_whatever_their_order() -> None:
    scores, whole = np.full(4, 0.5), np.ones((1, 4), np.float32)

    for hits in ([True, False, False, False], [False, False, False, True]):
        assert risk_area(scores, np.array(hits), whole) == pytest.approx([0.75])


def test_a_row_that_is_drawn_twice_counts_twice() -> None:
    scores, hits = np.array([0.9, 0.8]), np.array([True, False])
    taken = np.array([[2, 1], [1, 2]], np.float32)

    # Risks are 0 and 1/3, and 0 and 2/3.
    assert risk_area(scores, hits, taken) == pytest.approx([1 / 9, 4 / 9])


def test_figures_are_those_of_the_answered_rows() -> None:
    task = TextClassification(Fit(thresholds=[0.65, 0.9, 0.0]))
    judged = task.judged(LOGITS, TARGETS, LABELS)

    found = measured(task, LOGITS, TARGETS, judged, LABELS, "accuracy").metrics

    assert found["coverage"].value == pytest.approx(0.5)
    assert found["selective_accuracy"].value == pytest.approx(0.5)
    assert found["accuracy"].value == pytest.approx(0.75)


def test_selective_accuracy_of_no_answer_is_null_for_a_reason() -> None:
    task = TextClassification(Fit(thresholds=[1.0, 1.0, 1.0]))
    judged = task.judged(LOGITS, TARGETS, LABELS)

    found = measured(task, LOGITS, TARGETS, judged, LABELS, "accuracy").metrics

    assert found["coverage"].value == 0
    assert found["selective_accuracy"].value is None
    assert found["selective_accuracy"].reason == "no row is answered"


def test_who_answers_always_has_neither() -> None:
    task = TextClassification()
    judged = task.judged(LOGITS, TARGETS, LABELS)

    found = measured(task, LOGITS, TARGETS, judged, LABELS, "accuracy").metrics

    assert not found.keys() & {"coverage", "selective_accuracy"}
    assert abstention_of(task, None, LOGITS, TARGETS, judged, LABELS) is None


def test_labels_tell_their_threshold_and_how_often_they_are_right_above_it() -> None:
    task = TextClassification(Fit(thresholds=[0.65, 0.9, 0.0]))
    judged = task.judged(LOGITS, TARGETS, LABELS)

    found = abstention_of(task, WANTED, LOGITS, TARGETS, judged, LABELS)

    assert found is not None
    assert [
        (each.label, each.threshold, each.rows, each.answered, each.precision)
        for each in found.labels
    ] == [("a", 0.65, 3, 2, 0.5), ("b", 0.9, 1, 0, None), ("c", 0.0, 0, 0, None)]
