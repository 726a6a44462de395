"""Curves: metrics of a job, thinned to what a chart can show, and as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

from tunery.types import MetricPoint


def chosen(points: Sequence[MetricPoint], names: Sequence[str]) -> list[MetricPoint]:
    """Return the points with these metrics only; a step that has none of them is left out."""
    found = [
        MetricPoint(
            step=point.step,
            values={name: point.values[name] for name in names if name in point.values},
        )
        for point in points
    ]
    return [point for point in found if point.values]


def thinned(points: Sequence[MetricPoint], limit: int) -> list[MetricPoint]:
    """Return at most `limit` points of each metric: its first, its last, and the extremes between.

    The least and the greatest of each stretch are kept, so that a spike stays where it was.
    """
    kept = {(step, name) for name in names_of(points) for step in _kept_steps(points, name, limit)}
    found = [
        MetricPoint(
            step=point.step,
            values={
                name: value for name, value in point.values.items() if (point.step, name) in kept
            },
        )
        for point in points
    ]
    return [point for point in found if point.values]


def as_csv(points: Sequence[MetricPoint], names: Sequence[str]) -> str:
    """Return a line per step and a column per metric; nan, inf and -inf stand as words."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *names])
    for point in points:
        writer.writerow([point.step, *(_plain(point.values.get(name)) for name in names)])
    return text.getvalue()


def names_of(points: Sequence[MetricPoint]) -> list[str]:
    """Return the names of all metrics, in the order of their first step."""
    return list(dict.fromkeys(name for point in points for name in point.values))


def _kept_steps(points: Sequence[MetricPoint], name: str, limit: int) -> Iterator[int]:
    curve = [(point.step, _number(point.values[name])) for point in points if name in point.values]
    if len(curve) <= limit:
        yield from (step for step, _ in curve)
        return
    yield curve[0][0]
    yield curve[-1][0]
    between, stretches = curve[1:-1], (limit - 2) // 2
    for i in range(stretches):
        stretch = between[i * len(between) // stretches : (i + 1) * len(between) // stretches]
        yield min(stretch, key=lambda place: place[1])[0]
        yield max(stretch, key=lambda place: place[1])[0]


def _number(value: Any) -> float:
    number = float(_plain(value))
    return math.inf if math.isnan(number) else number  # an extreme, and one that can be compared


def _plain(value: Any) -> Any:
    """Return a number, or the word for one that is not finite."""
    return cast("dict[str, Any]", value)["non_finite"] if isinstance(value, dict) else value
