"""Comparisons: which rows are read of two evaluations, and which of them are shown."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tunery_trainer.evaluate import stored_rows
from tunery_trainer.evaluate.comparison import compare
from tunery_trainer.tasks import Judged, task_named

LABELS = ["a", "b", "c"]


def stored(path: Path, cells: list[str], predicted: list[str], losses: list[float]) -> Path:
    split = pa.table(
        {
            "line": range(2, len(cells) + 2),
            "text": [f"text {i}" for i in range(len(cells))],
            "label": pa.array(cells, pa.string()),
        }
    )
    nothing = np.full(len(cells), np.nan)
    judged = Judged(predicted, nothing, nothing, np.array(losses))
    stored_rows.write(path, split, judged, np.zeros((len(cells), 3), np.float32), {})
    return path


def test_rows_that_changed_are_shown_the_clearest_first(tmp_path: Path) -> None:
    cells = ["a", "a", "b", "b", "c"]
    one = stored(tmp_path / "1", cells, ["a", "a", "b", "c", "a"], [0.1, 0.2, 0.3, 2.0, 1.0])
    other = stored(tmp_path / "2", cells, ["b", "c", "b", "b", "c"], [1.0, 3.0, 0.3, 0.5, 0.4])

    found = compare(task_named("text_classification"), one, other)

    assert found.rows == 5
    assert [(row.text, row.a, row.b) for row in found.fixed] == [
        ("text 1", "a", "c"),
        ("text 0", "a", "b"),
    ]
    assert [(row.line, row.label, row.a, row.b) for row in found.broken] == [
        (5, "b", "c", "b"),
        (6, "c", "a", "c"),
    ]
    assert found.metrics["loss"].difference == pytest.approx((3.6 - 5.2) / 5)
    assert found.metrics["accuracy"].difference == 0.0


def test_numbers_are_compared_in_their_own_unit(tmp_path: Path) -> None:
    """The stored losses are of other deviations, and do not count."""
    cells = ["1", "2", "3", "4"]
    one = stored(tmp_path / "1", cells, ["1", "2.5", "3", "8"], [9.0] * 4)
    other = stored(tmp_path / "2", cells, ["2", "4", "3", "4"], [0.1] * 4)

    found = compare(task_named("regression"), one, other)

    assert found.metrics["mae"].a == pytest.approx(4.5 / 4)
    assert found.metrics["mae"].b == pytest.approx(3 / 4)
    assert [row.text for row in found.fixed] == ["text 1", "text 0"]
    assert [row.text for row in found.broken] == ["text 3"]
    assert (found.changed, found.labels) == (None, [])


@pytest.mark.parametrize("task", ["text_classification", "regression"])
def test_a_split_without_rows_says_nothing(tmp_path: Path, task: str) -> None:
    empty = stored(tmp_path / "1", [], [], [])

    found = compare(task_named(task), empty, empty)

    assert (found.rows, found.metrics, found.tests) == (0, {}, [])
