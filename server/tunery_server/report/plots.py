"""Plots: where things stand in a drawing. The templates draw them as SVG.

Units: pixels of the drawing's own grid, from the upper left.
"""

from collections.abc import Sequence
from typing import get_args

import msgspec

from tunery.types import CalibrationBin, Confusion, Evaluation, EvaluationPlot, Metric
from tunery_server.report.facts import Facts
from tunery_trainer.protocol.wire import OperatingPoint

PLOTS: tuple[EvaluationPlot, ...] = get_args(EvaluationPlot)
MARKS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)  # least scores that are told in numbers
ZOOMED_LABELS = 20  # of a heat map that has its counts written in
MAX_LABELS = 200  # of a heat map; beyond, a label is less than a pixel
_ZOOM_CELL = 30.0
_MAP_PIXELS = 900.0


class Cell(msgspec.Struct, kw_only=True, frozen=True):
    """Rows by true and predicted label; `share` is of those that have the true one."""

    column: int
    line: int
    rows: int
    share: float


class Heatmap(msgspec.Struct, kw_only=True, frozen=True):
    """Cells that are not empty; lines are true labels, columns predicted ones."""

    labels: list[str]
    cells: list[Cell]
    side: float  # of a cell
    counted: bool  # whether counts are written in


class Bar(msgspec.Struct, kw_only=True, frozen=True):
    """One value of several; `length` is a share of the longest."""

    name: str
    value: float
    length: float
    low: float | None = None  # of its interval, as lengths
    high: float | None = None
    own: bool = False  # the model's, not a baseline's


class Chart(msgspec.Struct, kw_only=True, frozen=True):
    """A square of two axes, which both end at `high`."""

    low: float = 0.0  # where the axis from left to right begins
    floor: float = 0.0  # where that from below begins
    high: float = 1.0
    left: float = 52.0
    top: float = 12.0
    side: float = 300.0

    def x(self, value: float) -> float:
        """Return where a value stands from left to right."""
        return round(self.left + self.side * (value - self.low) / (self.high - self.low), 1)

    def y(self, value: float) -> float:
        """Return where a value stands from top to bottom; large ones are above."""
        return round(self.top + self.side * (self.high - value) / (self.high - self.floor), 1)

    @property
    def across(self) -> list[float]:
        """Five values from left to right."""
        return _ticks(self.low, self.high)

    @property
    def up(self) -> list[float]:
        """Five values from below."""
        return _ticks(self.floor, self.high)


class Reliability(msgspec.Struct, kw_only=True, frozen=True):
    """How often answers are right, by how probable they are said to be."""

    chart: Chart
    bins: list[CalibrationBin]
    most: int  # rows of the fullest bin


class Curve(msgspec.Struct, kw_only=True, frozen=True):
    """Precision and recall by the least score that is answered."""

    chart: Chart
    points: list[OperatingPoint]
    marked: list[tuple[float, OperatingPoint]]  # a least score each


class Answering(msgspec.Struct, kw_only=True, frozen=True):
    """How many answers are right, by how many rows are answered."""

    chart: Chart
    points: list[OperatingPoint]
    served: tuple[float, float] | None  # coverage and selective accuracy at the thresholds


class Scatter(msgspec.Struct, kw_only=True, frozen=True):
    """True and predicted numbers."""

    chart: Chart
    numbers: list[tuple[float, float]]


Drawing = list[Bar] | Heatmap | Reliability | Curve | Answering | Scatter


def drawing_of(facts: Facts, plot: EvaluationPlot) -> Drawing | None:
    """Return what a plot shows, or None where there is nothing to show."""
    confusion, sketch = facts.evaluation.confusion, facts.sketch
    calibration = facts.evaluation.calibration
    match plot:
        case "baselines":
            return bars(facts.evaluation) or None
        case "confused" if confusion is not None and len(confusion.labels) > ZOOMED_LABELS:
            return zoomed(confusion) if most_confused(confusion, ZOOMED_LABELS) else None
        case "confusion" if confusion is not None and len(confusion.labels) <= MAX_LABELS:
            return heatmap(confusion)
        case "reliability" if calibration is not None and calibration.bins:
            most = max(each.rows for each in calibration.bins)
            return Reliability(chart=Chart(), bins=calibration.bins, most=most)
        case "precision" if sketch is not None and sketch.points:
            return curve(sketch.points)
        case "abstention" if facts.evaluation.abstention and sketch is not None and sketch.points:
            return answering(facts.evaluation, sketch.points)
        case "numbers" if sketch is not None and sketch.numbers:
            return Scatter(chart=range_of(sketch.numbers), numbers=sketch.numbers)
        case _:
            return None


def bars(evaluation: Evaluation) -> list[Bar]:
    """Return the primary metric of baselines and model; none where it is not known."""
    own = evaluation.metrics.get(evaluation.primary_metric or "")
    if own is None or own.value is None:
        return []
    values = [*evaluation.baselines.values(), own.value, own.high or own.value]
    longest = max(values) if max(values) > 0 else 1.0

    def length(value: float) -> float:
        return max(0.0, value / longest)

    return [
        *(
            Bar(name=name, value=value, length=length(value))
            for name, value in evaluation.baselines.items()
        ),
        Bar(
            name=evaluation.version or evaluation.checkpoint or "",
            value=own.value,
            length=length(own.value),
            low=None if own.low is None else length(own.low),
            high=None if own.high is None else length(own.high),
            own=True,
        ),
    ]


def curve(points: Sequence[OperatingPoint]) -> Curve:
    """Return the curve, from the quarter up in which its least precision lies."""
    quarters = min(3, int(4 * min(point.precision for point in points)))
    return Curve(chart=Chart(floor=quarters / 4), points=list(points), marked=marked(points))


def answering(evaluation: Evaluation, points: Sequence[OperatingPoint]) -> Answering:
    """Return the curve of all thresholds, and where the version's own have led."""
    coverage, right = (
        evaluation.metrics.get(name, Metric(value=None)).value
        for name in ("coverage", "selective_accuracy")
    )
    return Answering(
        chart=curve(points).chart,
        points=list(points),
        served=None if coverage is None or right is None else (coverage, right),
    )


def marked(points: Sequence[OperatingPoint]) -> list[tuple[float, OperatingPoint]]:
    """Return, for each of a few least scores, what is had of answers that reach it."""
    reached = [(mark, [point for point in points if point.score >= mark]) for mark in MARKS]
    return [(mark, found[-1]) for mark, found in reached if found]


def heatmap(confusion: Confusion) -> Heatmap:
    """Return all labels, in their own order."""
    labels = len(confusion.labels)
    return _heatmap(confusion, range(labels), min(_ZOOM_CELL, _MAP_PIXELS / labels))


def zoomed(confusion: Confusion) -> Heatmap:
    """Return the labels that are confused most, each beside what it is taken for."""
    return _heatmap(confusion, most_confused(confusion, ZOOMED_LABELS), _ZOOM_CELL)


def most_confused(confusion: Confusion, limit: int) -> list[int]:
    """Return places of labels: along the commonest confusions, the two of a pair together."""
    matrix = confusion.matrix
    errors = [
        (count, i, j)
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if count and i != j
    ]
    found: dict[int, None] = {}
    for _, i, j in sorted(errors, key=lambda error: -error[0]):
        if len(found.keys() | {i, j}) > limit:
            break
        found |= {i: None, j: None}
    return list(found)


def range_of(numbers: Sequence[tuple[float, float]]) -> Chart:
    """Return the chart that holds true and predicted numbers."""
    values = [value for pair in numbers for value in pair]
    low, high = min(values), max(values)
    high = high if high > low else low + 1.0
    return Chart(low=low, floor=low, high=high, left=64.0)


def _ticks(low: float, high: float) -> list[float]:
    return [low + (high - low) * i / 4 for i in range(5)]


def _heatmap(confusion: Confusion, places: Sequence[int], side: float) -> Heatmap:
    supports = [sum(row) for row in confusion.matrix]
    cells = [
        Cell(column=column, line=line, rows=rows, share=rows / supports[i])
        for line, i in enumerate(places)
        for column, j in enumerate(places)
        if (rows := confusion.matrix[i][j])
    ]
    labels = [confusion.labels[i] for i in places]
    return Heatmap(labels=labels, cells=cells, side=side, counted=side >= _ZOOM_CELL / 1.5)
