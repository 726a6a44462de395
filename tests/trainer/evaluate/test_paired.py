"""Two models on the same rows: against scikit-learn, SciPy and hand-worked cases, and simulated."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, hamming_loss
from tests.bench import gate

from tunery_trainer.evaluate.merits import holm
from tunery_trainer.evaluate.paired import (
    Paired,
    kinds_of,
    one_sided,
    paired_labels,
    paired_means,
    paired_numbers,
    two_sided,
)
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.multi_label import MultiLabel


def paired(truth: Sequence[str], one: Sequence[str], other: Sequence[str]) -> Paired:
    return paired_labels(kinds_of(truth, one, other, lambda cell: [cell], single=True), single=True)


def test_mcnemar_is_the_exact_binomial_of_the_rows_that_changed() -> None:
    """By hand, 11 of 14: (364 + 91 + 14 + 1) / 2**14."""
    assert float(one_sided(11, 3)) == pytest.approx(470 / 16384)
    assert float(two_sided(11, 3)) == pytest.approx(940 / 16384)
    assert float(two_sided(11, 3)) == pytest.approx(stats.binomtest(11, 14).pvalue)
    assert float(two_sided(5, 5)) == 1.0
    assert float(one_sided(0, 0)) == 1.0


def test_holm_corrects_as_by_hand() -> None:
    """0.005 by 4, 0.01 by 3, 0.03 by 2; 0.04 by 1 is no less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_figures_and_rows_that_changed_are_counted() -> None:
    truth = ["a"] * 4 + ["b"] * 4 + ["c"] * 2
    one = ["a", "a", "a", "b", "b", "b", "b", "b", "a", "c"]
    other = ["a", "a", "b", "b", "b", "b", "c", "c", "c", "c"]

    found = paired(truth, one, other)

    assert found.changed is not None
    assert (found.changed.fixed, found.changed.broken, found.changed.p_value) == (3, 1, 0.625)
    assert found.metrics["accuracy"].a == 0.8
    assert found.metrics["accuracy"].difference == pytest.approx(0.2)
    for name, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
        change = found.metrics[name]
        assert change.a == pytest.approx(f1_score(truth, one, average=average))
        assert change.b == pytest.approx(f1_score(truth, other, average=average))
        assert change.low <= change.difference <= change.high


def test_a_label_counts_where_it_is_given_or_not_as_it_should_be() -> None:
    """Of b one model gives 2 less of the rows of a, and finds one less of its own."""
    truth = ["a", "a", "a", "b", "b"]
    one = ["a", "a", "a", "b", "a"]
    other = ["b", "b", "a", "b", "b"]

    [b] = [each for each in paired(truth, one, other).labels if each.label == "b"]

    assert (b.support, b.fixed, b.broken) == (2, 2, 1)
    assert (b.a, b.b) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_the_same_answers_are_no_loss() -> None:
    truth = ["a", "b", "c"] * 5
    answers = ["a", "b", "b"] * 5

    found = paired(truth, answers, answers)

    accuracy = found.metrics["accuracy"]
    assert (accuracy.difference, accuracy.low, accuracy.high) == (0.0, 0.0, 0.0)
    assert [(test.p_value, test.worse) for test in found.tests] == [(1.0, False)] * 2
    assert found.labels == []


def test_a_label_that_is_lost_is_named_though_the_whole_is_better() -> None:
    """20 rows of one label are lost, 40 of others are won."""
    truth = np.repeat([f"label {i:02}" for i in range(20)], 40).tolist()
    one, other = list(truth), list(truth)
    one[:20] = ["label 19"] * 20
    for i in range(40, 80):
        other[i] = f"label {2 + i % 17:02}"

    found = paired(truth, one, other)

    assert [test.worse for test in found.tests] == [False, False]
    lost = [each.label for each in found.labels if each.worse]
    assert lost == ["label 00", "label 19"]  # the second is given in its place
    assert found.metrics["accuracy"].difference > 0


def test_several_labels_compare_as_sets() -> None:
    task = MultiLabel(Fit())
    truth = ['["a"]', '["a", "b"]', "[]", '["b"]']
    one = ['["a"]', '["a"]', "[]", '["a", "b"]']
    other = ['["b"]', '["a", "b"]', '["a"]', '["a"]']
    kinds = kinds_of(truth, one, other, task.labels_of, single=False)

    found = paired_labels(kinds, single=False)

    marks = [task.targets(cells, ["a", "b"]) for cells in (truth, one, other)]
    assert found.metrics["subset_accuracy"].a == 0.5
    assert found.metrics["hamming_loss"].b == pytest.approx(hamming_loss(marks[0], marks[2]))
    for average in ("micro", "macro"):
        change = found.metrics[f"{average}_f1"]
        assert change.a == pytest.approx(f1_score(marks[0], marks[1], average=average))
        assert change.b == pytest.approx(f1_score(marks[0], marks[2], average=average))
    assert found.changed is not None
    assert (found.changed.fixed, found.changed.broken) == (2, 1)


def test_numbers_compare_by_their_errors() -> None:
    generator = np.random.default_rng(3)
    truth = generator.normal(size=200)
    one, other = (truth + generator.normal(scale=scale, size=200) for scale in (0.8, 0.5))

    found = paired_numbers(truth, one, other)

    assert found.metrics["mae"].a == pytest.approx(np.abs(one - truth).mean())
    assert found.metrics["rmse"].b == pytest.approx(np.sqrt(np.square(other - truth).mean()))
    assert 0 < found.metrics["rmse"].low < found.metrics["rmse"].difference
    [test] = found.tests
    squares = np.square(one - truth), np.square(other - truth)
    expected = stats.ttest_rel(*squares, alternative="greater").pvalue
    assert (test.metric, test.worse) == ("rmse", True)
    assert test.p_value == pytest.approx(expected)


def test_means_differ_by_an_interval_of_the_same_rows() -> None:
    """What all rows have in common moves neither end."""
    generator = np.random.default_rng(5)
    common = generator.normal(scale=100.0, size=400)
    one, other = common + 1 + generator.normal(size=400), common

    change = paired_means(one, other, np.zeros(400, np.int64))

    assert change.difference == pytest.approx((one - other).mean())
    half = 1.96 * (one - other).std() / 20
    assert change.low == pytest.approx(change.difference - half, abs=0.03)
    assert change.high == pytest.approx(change.difference + half, abs=0.03)


@pytest.mark.parametrize("scene", gate.SCENES[:2], ids=lambda scene: scene.name)
def test_equal_models_pass_and_a_loss_of_three_points_does_not(scene: gate.Scene) -> None:
    """The bench has the rates of 2,000 pairs; these seeds have no surprise among so few."""
    equal = [gate.called_worse(pair) for pair in gate.judged(scene, 20, loss=0.0)]
    lost = [gate.called_worse(pair) for pair in gate.judged(scene, 10, loss=gate.LOSS)]

    assert sum(equal) <= 1
    assert sum(lost) >= 8
