"""A sketch of rows: the curve by hand, and what it holds of many rows and long texts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tunery_trainer.evaluate import stored_rows
from tunery_trainer.evaluate.sketch import MAX_NUMBERS, MAX_POINTS, operating_points, sketched
from tunery_trainer.protocol.wire import Sketched, SketchRows
from tunery_trainer.tasks import Judged

NONE = np.full(4, np.nan)


def sketch_of(path: Path, labels: list[str], judged: Judged, texts: list[str]) -> Sketched:
    lines = list(range(2, len(labels) + 2))
    split = pa.table({"line": lines, "text": texts, "label": labels})
    stored_rows.write(path, split, judged, np.zeros((len(labels), 1), np.float32), {})
    return sketched(SketchRows(id=7, path=str(path), errors=2, characters=3))


def test_precision_and_recall_by_hand() -> None:
    scores = np.array([0.6, 0.9, 0.9, 0.2])
    hits = np.array([False, True, True, True])

    points = operating_points(scores, hits)

    found = [(each.score, each.answered, each.precision, each.recall) for each in points]
    assert found == [
        (0.9, 0.5, 1.0, 0.5),
        (0.6, 0.75, pytest.approx(2 / 3), 0.5),
        (0.2, 1, 0.75, 0.75),
    ]


def test_a_curve_of_many_rows_keeps_its_ends_and_its_marks() -> None:
    scores = np.linspace(0, 1, 100_000)

    points = operating_points(scores, scores > 0.25)

    assert len(points) <= MAX_POINTS + 6
    assert (points[0].score, points[-1].score) == (1.0, 0.0)
    assert points[-1].recall == pytest.approx(0.75, abs=1e-4)
    for mark in (0.5, 0.99):
        (nearest,) = (point for point in points if 0 <= point.score - mark < 1e-5)
        assert nearest.answered == pytest.approx(1 - mark, abs=1e-4)


def test_errors_come_hardest_first_and_cut(tmp_path: Path) -> None:
    judged = Judged(list("aabb"), np.array([0.9, 0.8, 0.7, 0.6]), NONE, np.array([0.1, 3, 1, 2]))

    found = sketch_of(tmp_path / "rows.parquet", list("abaa"), judged, ["wxyz", "long", "abc", "d"])

    assert (found.id, found.wrong, found.numbers) == (7, 3, [])
    assert [(row.row, row.text) for row in found.errors] == [(1, "lon…"), (3, "d")]


def test_numbers_have_no_curve_and_are_sampled(tmp_path: Path) -> None:
    cells = [str(i) for i in range(5000)]
    nothing = np.full(5000, np.nan)
    judged = Judged(cells, nothing, nothing, np.zeros(5000))

    found = sketch_of(tmp_path / "rows.parquet", cells, judged, cells)

    assert found.points == []
    assert len(found.numbers) == MAX_NUMBERS
    assert (found.numbers[0], found.numbers[-1]) == ((0.0, 0.0), (4999.0, 4999.0))


def test_no_rows_have_an_empty_sketch(tmp_path: Path) -> None:
    judged = Judged([], *np.zeros((3, 0)))
    path = tmp_path / "rows.parquet"
    split = pa.table({"line": pa.array([], pa.int64()), "text": pa.array([], pa.string()),
                      "label": pa.array([], pa.string())})  # fmt: skip
    stored_rows.write(path, split, judged, np.zeros((0, 1), np.float32), {})

    found = sketched(SketchRows(id=1, path=str(path), errors=2, characters=3))

    assert (found.errors, found.wrong, found.points, found.numbers) == ([], 0, [], [])
