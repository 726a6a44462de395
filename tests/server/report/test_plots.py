"""Plots: which labels are drawn, and where."""

from msgspec.structs import replace
from tests.server.report.facts import facts_of

from tunery.types import Confusion
from tunery_server.report.facts import confused_pairs
from tunery_server.report.plots import Chart, bars, curve, drawing_of, most_confused, range_of
from tunery_trainer.protocol.wire import OperatingPoint


def confusion_of(labels: int, errors: dict[tuple[int, int], int]) -> Confusion:
    matrix = [
        [10 if i == j else errors.get((i, j), 0) for j in range(labels)] for i in range(labels)
    ]
    return Confusion(labels=[f"label {i}" for i in range(labels)], matrix=matrix)


def test_the_most_confused_labels_stand_in_pairs() -> None:
    confusion = confusion_of(6, {(0, 1): 1, (5, 2): 9, (2, 3): 4})

    assert most_confused(confusion, 6) == [5, 2, 3, 0, 1]
    assert most_confused(confusion, 3) == [5, 2, 3]
    assert most_confused(confusion_of(3, {}), 3) == []


def test_pairs_are_told_by_how_many_rows_they_have() -> None:
    pairs = confused_pairs(confusion_of(3, {(0, 1): 2, (2, 1): 5}))

    told = [(each.true, each.predicted, each.rows, each.share) for each in pairs]
    assert told == [("label 2", "label 1", 5, 5 / 15), ("label 0", "label 1", 2, 2 / 12)]


def test_many_labels_are_zoomed_and_too_many_have_no_map() -> None:
    facts = facts_of()

    def drawn(labels: int) -> list[bool]:
        confusion = confusion_of(labels, {(0, 1): 2})
        evaluation = replace(facts.evaluation, confusion=confusion)
        one = replace(facts, evaluation=evaluation)
        return [drawing_of(one, plot) is not None for plot in ("confused", "confusion")]

    assert [drawn(labels) for labels in (20, 21, 201)] == [
        [False, True],
        [True, True],
        [True, False],
    ]


def test_a_chart_has_its_origin_below_on_the_left() -> None:
    chart = Chart(low=1.0, floor=2.0, high=3.0, left=10.0, top=20.0, side=100.0)

    assert (chart.x(1.0), chart.x(3.0), chart.y(2.0), chart.y(3.0)) == (10.0, 110.0, 120.0, 20.0)
    assert (chart.across, chart.up) == ([1.0, 1.5, 2.0, 2.5, 3.0], [2.0, 2.25, 2.5, 2.75, 3.0])


def test_numbers_that_are_all_the_same_have_a_range() -> None:
    chart = range_of([(2.0, 2.0)])

    assert (chart.low, chart.high) == (2.0, 3.0)


def test_a_curve_begins_a_quarter_below_its_least_precision() -> None:
    def floor(precision: float) -> float:
        point = OperatingPoint(score=0.5, answered=1.0, precision=precision, recall=precision)
        return curve([point]).chart.floor

    assert [floor(value) for value in (0.0, 0.3, 0.8, 1.0)] == [0.0, 0.25, 0.75, 0.75]


def test_the_bar_of_the_model_has_its_interval_and_the_longest_bar_is_whole() -> None:
    found = bars(facts_of().evaluation)

    assert [(each.name, round(each.length, 3), each.own) for each in found] == [
        ("majority", 0.556, False),
        ("tfidf", 0.778, False),
        ("intent/3", 0.889, True),
    ]
    assert (round(found[2].low or 0, 3), found[2].high) == (0.778, 1.0)
