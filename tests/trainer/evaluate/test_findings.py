"""Findings: each planted fault is found, and answers without one have hardly any."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.client.answers import REPORT

from tunery.types import EvaluationFinding, Lineage, Metric, Report
from tunery_trainer.evaluate import findings
from tunery_trainer.evaluate.findings import Answered
from tunery_trainer.evaluate.fit_verdict import fit_findings, judged_fit, sample_of
from tunery_trainer.evaluate.merits import chance_of_better, chance_of_worse, gap_of, significant
from tunery_trainer.evaluate.slices import sliced, weak_slices
from tunery_trainer.tasks import Judged
from tunery_trainer.tasks.figures import Tally

Places = NDArray[np.int64]


def answered(
    generator: np.random.Generator, labels: int, rows_of_label: int, errors: float
) -> tuple[Places, Places]:
    """Return rows of which a share is given any other label."""
    targets = np.repeat(np.arange(labels), rows_of_label)
    wrong = generator.random(len(targets)) < errors
    others = (targets + generator.integers(1, labels, len(targets))) % labels
    return targets, np.where(wrong, others, targets)


def found_in(targets: Places, chosen: Places, labels: int) -> list[EvaluationFinding]:
    """Return what is found in answers, whose row i has the text `text i` and the loss i."""
    names = [f"label {i}" for i in range(labels)]
    matrix = np.bincount(targets * labels + chosen, minlength=labels**2).reshape(labels, labels)
    tally = Tally.of_confusion(matrix)
    nothing = np.zeros(len(targets))
    judged = Judged(
        [names[i] for i in chosen], nothing, nothing, np.arange(len(targets), dtype=np.float64)
    )
    texts = [f"text {i}" for i in range(len(targets))]
    rows = Answered(texts, [names[i] for i in targets], judged)
    return [
        *findings.weak_classes(tally, names),
        *findings.over_predicted(tally, names),
        *findings.confused_pairs(matrix, targets, chosen, names, rows),
    ]


def told(found: Sequence[EvaluationFinding]) -> set[tuple[str, str | None]]:
    return {(each.type, each.label) for each in found}


def test_even_errors_are_hardly_ever_a_finding() -> None:
    """Three kinds of tests at one in a hundred: 6 of 200 sets of answers are to be expected."""
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        alarms += bool(found_in(*answered(generator, 20, 40, 0.1), labels=20))

    assert alarms <= 6


def test_answers_that_are_all_right_are_no_finding() -> None:
    targets = np.repeat(np.arange(4), 30)

    assert found_in(targets, targets, 4) == []


def test_a_label_that_is_seldom_found_is_weak() -> None:
    targets, chosen = answered(np.random.default_rng(0), 10, 40, 0.05)
    chosen[40:60] = np.arange(20) % 8 + 2  # half of label 1, spread over others

    found = found_in(targets, chosen, 10)

    assert told(found) == {("weak-class", "label 1")}
    assert found[0].numbers["recall"] == pytest.approx(0.5, abs=0.06)
    assert found[0].numbers["support"] == 40


def test_a_label_of_few_rows_is_not_judged() -> None:
    targets = np.repeat([0, 1, 2], [50, 50, 5])
    chosen = np.where(targets == 2, np.arange(105) % 2, targets)

    assert not [each for each in found_in(targets, chosen, 3) if each.type == "weak-class"]


def test_one_miss_among_few_rows_is_no_weakness() -> None:
    """Nine of ten, where all 20 others are right: one of three such misses falls there by luck."""
    targets = np.repeat([0, 1, 2], 10)
    chosen = targets.copy()
    chosen[0] = 1

    assert found_in(targets, chosen, 3) == []


def test_a_label_that_is_given_too_often_is_over_predicted() -> None:
    """Recall 1, precision 40 of 70: three rows of each of ten labels are given label 0."""
    targets, chosen = answered(np.random.default_rng(1), 11, 40, 0.0)
    for label in range(1, 11):
        chosen[label * 40 : label * 40 + 3] = 0

    found = [each for each in found_in(targets, chosen, 11) if each.type == "over-predicts"]

    [only] = found
    assert only.label == "label 0"
    assert only.numbers["recall"] == 1.0
    assert only.numbers["precision"] == pytest.approx(40 / 70)
    assert only.message == (
        "'label 0' is given to 70 rows and right for 40: precision 0.571, recall 1.000"
    )


def test_a_label_that_is_missed_as_often_as_it_is_given_wrongly_is_not_over_predicted() -> None:
    targets = np.repeat([0, 1], 100)
    chosen = targets.copy()
    chosen[:20], chosen[100:120] = 1, 0

    assert found_in(targets, chosen, 2) == []


def test_two_labels_that_are_taken_for_each_other_are_a_pair_with_examples() -> None:
    targets, chosen = answered(np.random.default_rng(2), 20, 40, 0.04)
    chosen[120:128] = 4  # of label 3
    chosen[160:164] = 3  # of label 4

    found = [each for each in found_in(targets, chosen, 20) if each.type == "confused-pair"]

    [pair] = found
    assert (pair.label, pair.other_label) == ("label 3", "label 4")
    assert (pair.numbers["there"], pair.numbers["back"]) == (8, 4)
    assert [(each.row, each.text) for each in pair.examples] == [
        (row, f"text {row}") for row in (163, 162, 161, 160, 127)
    ]
    assert (pair.examples[0].label, pair.examples[0].predicted) == ("label 4", "label 3")


def test_a_long_pair_of_texts_is_cut_in_its_example() -> None:
    judged = Judged(["b"], *np.zeros((3, 1)))

    [example] = Answered([("x" * 300, "y" * 300)], ["a"], judged).examples(np.array([0]))

    assert (len(example.text), len(example.text_pair)) == (200, 200)


def test_calibrated_answers_are_hardly_ever_a_finding() -> None:
    alarms = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        confidences = generator.uniform(0.4, 1.0, 400)
        hits = generator.random(400) < confidences
        alarms += bool([*findings.miscalibration(confidences, hits, 0.03)])

    assert alarms <= 6


@pytest.mark.parametrize(
    ("confidence", "kind"), [(0.95, "over-confident"), (0.6, "under-confident")]
)
def test_answers_that_say_more_or_less_than_is_right_are_found(
    confidence: float, kind: str
) -> None:
    hits = np.arange(500) % 5 > 0  # 0.8 are right

    [found] = findings.miscalibration(np.full(500, confidence), hits, 0.15)

    assert found.type == kind
    assert found.numbers == {"confidence": pytest.approx(confidence), "accuracy": 0.8, "ece": 0.15}


def test_a_slice_that_does_worse_is_found_with_its_gap() -> None:
    """400 English rows of which 0.95 are right, and 100 Chinese ones of which half are."""
    texts = ["where is my order"] * 400 + ["我的订单在哪里"] * 100
    merits = np.append(np.arange(400) % 20 > 0, np.arange(100) % 2 > 0)

    found = sliced(texts, merits, "accuracy")
    weak = list(weak_slices(found))

    [script] = [each for each in weak if each.message.startswith("script")]
    assert script.numbers["accuracy"] == 0.5
    assert script.numbers["gap"] == pytest.approx(-0.45)
    assert script.numbers["gap_low"] < -0.45 < script.numbers["gap_high"] < -0.3
    assert {each.name for each in found.slices if each.by == "script"} == {"latin", "han"}


def test_slices_that_do_alike_are_hardly_ever_a_finding() -> None:
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        texts = ["a" * length for length in generator.integers(1, 60, 300).tolist()]
        merits = generator.random(300) < 0.9
        alarms += bool([*weak_slices(sliced(texts, merits, "accuracy"))])

    assert alarms <= 4


def test_a_slice_of_few_rows_is_left_out() -> None:
    texts = ["english"] * 100 + ["中文"] * 29

    found = sliced(texts, np.ones(129, np.bool_), "accuracy")

    assert [each.name for each in found.slices if each.by == "script"] == []


def test_slices_of_numbers_are_told_as_losses() -> None:
    generator = np.random.default_rng(0)
    texts = ["short"] * 100 + ["a much longer text"] * 100
    merits = -np.append(generator.chisquare(1, 100) * 0.1, generator.chisquare(1, 100))

    found = sliced(texts, merits, "loss")

    long = found.slices[-1]
    assert long.value > long.rest > 0
    assert long.low < long.gap < long.high
    assert [each.type for each in weak_slices(found)] == ["weak-slice"]


def shares(right: float, rows: int = 500) -> NDArray[np.bool_]:
    return np.arange(rows) < round(right * rows)


@pytest.mark.parametrize(
    ("train", "validation", "test", "baseline", "verdict"),
    [
        (0.99, 0.70, 0.70, 0.65, "over-fit"),
        (0.99, None, 0.70, None, "over-fit"),
        (0.99, 0.98, 0.70, 0.65, "unclear"),
        (0.99, 0.93, 0.93, 0.89, "good"),
        (0.40, 0.38, 0.38, 0.80, "under-fit"),
        (0.70, 0.70, 0.70, 0.71, "good"),
        (0.70, 0.70, 0.70, None, "good"),
    ],
)
def test_the_verdict_follows_from_all_splits(
    train: float, validation: float | None, test: float, baseline: float | None, verdict: str
) -> None:
    fit = judged_fit(
        "accuracy",
        train=shares(train),
        validation=None if validation is None else shares(validation),
        test=shares(test),
        baseline=None if baseline is None else shares(baseline),
    )

    assert fit.verdict == verdict
    assert (fit.train, fit.test) == (train, test)
    expected = [verdict] if verdict in ("over-fit", "under-fit") else []
    assert [each.type for each in fit_findings(fit)] == expected


def test_few_rows_are_not_enough_for_a_verdict() -> None:
    fit = judged_fit(
        "accuracy",
        train=shares(1.0, 10),
        validation=None,
        test=shares(0.8, 10),
        baseline=None,
    )

    assert (fit.gap, fit.verdict) == (pytest.approx(0.2), "good")
    assert fit.low < 0.1


def test_the_fit_of_numbers_is_told_as_losses() -> None:
    generator = np.random.default_rng(0)
    train, test = -generator.chisquare(1, 500) * 0.05, -generator.chisquare(1, 500) * 0.8

    fit = judged_fit("loss", train=train, validation=test, test=test, baseline=None)

    assert fit.verdict == "over-fit"
    assert 0 < fit.train < fit.test


def test_a_sample_is_spread_over_all_rows() -> None:
    assert sample_of(3) == [0, 1, 2]
    sample = sample_of(5000)
    assert (len(sample), sample[0], sample[-1]) == (1000, 0, 4999)


def test_rows_that_were_seen_are_told_with_both_figures() -> None:
    lineage = Lineage(
        datasets=["ds_1"],
        lost=[],
        compared=100,
        overlap=7,
        without={"accuracy": Metric(value=0.8)},
    )

    [found] = findings.seen_in_training(lineage, {"accuracy": Metric(value=0.9)}, "accuracy", 50)

    assert found.message.startswith("7 of 50 rows")
    assert found.numbers == {
        "overlap": 7,
        "rows": 50,
        "accuracy_with": 0.9,
        "accuracy_without": 0.8,
    }
    unseen = msgspec.structs.replace(lineage, overlap=0)
    assert [*findings.seen_in_training(unseen, {}, "accuracy", 50)] == []


def report(**parts: dict[str, int]) -> Report:
    changed = {name: REPORT[name] | part for name, part in parts.items()}
    return msgspec.convert({**REPORT, **changed}, Report)


def test_what_the_ingest_has_left_in_the_dataset_is_echoed() -> None:
    left = report(leakage={"normalised": 3, "near": 2}, conflicts={"texts": 4})
    dropped = report(leakage={"normalised": 3, "dropped": 3}, conflicts={"texts": 4, "dropped": 8})

    assert [each.type for each in findings.echoes(left)] == [
        "dataset-leakage",
        "dataset-conflicts",
    ]
    assert [*findings.echoes(dropped)] == [*findings.echoes(report())] == []


def test_holm_by_hand() -> None:
    """Of three tests at 0.01 the least must be below 0.0033, the next below 0.005."""
    assert significant([0.02, 0.001, 0.004]) == [False, True, True]
    assert significant([0.004, 0.5, 0.6]) == [False, False, False]
    assert significant([]) == []


def test_gaps_and_chances_by_hand() -> None:
    """9 of 10 against 5 of 10: shares of 10/12 and 6/12, Fisher's p 0.070; 4 discordant pairs."""
    one, other = shares(0.9, 10), shares(0.5, 10)

    gap = gap_of(one, other)

    half = 1.959964 * (10 / 12 * 2 / 12 / 12 + 0.5 * 0.5 / 12) ** 0.5
    assert gap == pytest.approx((0.4, 1 / 3 - half, 1 / 3 + half))
    assert chance_of_worse(other, one) == pytest.approx(0.0704, abs=1e-4)
    assert chance_of_better(one, other) == pytest.approx(0.5**4)
    assert chance_of_better(one, one) == 1.0
