"""Rows of an evaluation: what is written, and which of them are shown in which order."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunery.types import EvaluatedRow
from tunery_trainer.evaluate import stored_rows
from tunery_trainer.protocol.wire import ReadErrors
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.multi_label import MultiLabel
from tunery_trainer.tasks.regression import Regression
from tunery_trainer.tasks.text_classification import TextClassification

CELLS = ["a", "a", "b", "b", "c"]
PROBABILITIES = [
    [0.8, 0.1, 0.1],
    [0.2, 0.7, 0.1],
    [0.1, 0.6, 0.3],
    [0.5, 0.3, 0.2],
    [0.9, 0.06, 0.04],
]


def split_of(cells: list[str]) -> pa.Table:
    texts = [f"text {i}" for i in range(len(cells))]
    return pa.table({"line": range(2, len(cells) + 2), "text": texts, "label": cells})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the rows of five answers: the first and the third are right."""
    task, logits = TextClassification(), np.log(np.array(PROBABILITIES, np.float32))
    judged = task.judged(logits, task.targets(CELLS, ["a", "b", "c"]), ["a", "b", "c"])
    stored_rows.write(tmp_path / "rows.parquet", split_of(CELLS), judged, logits, {})
    return tmp_path / "rows.parquet"


def asked(path: Path, **changes: Any) -> ReadErrors:
    every = {"true": None, "predicted": None, "right": False, "sort": "row", "offset": 0}
    return ReadErrors(id=1, path=str(path), limit=10, **every | changes)


def places(path: Path, **changes: Any) -> list[int]:
    return [row.row for row in stored_rows.read(path, asked(path, **changes))[0]]


def test_a_row_holds_its_text_its_answer_and_the_logits(path: Path) -> None:
    rows = pq.read_table(path).to_pylist()

    row = rows[1]
    assert (row["row"], row["line"], row["text"]) == (1, 3, "text 1")
    assert (row["label"], row["predicted"]) == ("a", "b")
    assert row["score"] == pytest.approx(0.7)
    assert row["margin"] == pytest.approx(0.2 - 0.7)
    assert row["loss"] == pytest.approx(-np.log(0.2))
    assert np.exp(row["logits"]) == pytest.approx([0.2, 0.7, 0.1])


def test_only_wrong_rows_are_shown_unless_all_are_asked_for(path: Path) -> None:
    assert places(path) == [1, 3, 4]
    assert places(path, right=True) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"true": "b"}, [3]),
        ({"predicted": "a"}, [3, 4]),
        ({"true": "c", "predicted": "a"}, [4]),
        ({"true": "b", "predicted": "b"}, []),
        ({"true": "b", "predicted": "b", "right": True}, [2]),
        ({"true": "nobody"}, []),
    ],
)
def test_rows_are_filtered_by_both_labels(
    path: Path, filters: dict[str, Any], expected: list[int]
) -> None:
    assert places(path, **filters) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("score", [3, 1, 4]),
        ("-score", [4, 1, 3]),
        ("loss", [3, 1, 4]),
        ("-loss", [4, 1, 3]),
        ("margin", [4, 1, 3]),
    ],
)
def test_rows_come_in_the_order_that_is_asked_for(
    path: Path, sort: str, expected: list[int]
) -> None:
    assert places(path, sort=sort) == expected


def test_a_page_says_whether_another_one_follows(path: Path) -> None:
    short = msgspec.structs.replace(asked(path), limit=2)

    first, more = stored_rows.read(path, short)
    rest, none = stored_rows.read(path, msgspec.structs.replace(short, offset=2))

    assert ([row.row for row in first], more) == ([1, 3], True)
    assert ([row.row for row in rest], none) == ([4], False)


def test_a_row_of_another_group_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_rows, "_GROUP_ROWS", 2)
    task = Regression(Fit(mean=1.0, deviation=2.0))
    cells = ["1", "2", "3", "4", "5"]
    logits = np.array([[0.0], [0.5], [1.0], [3.0], [-2.0]], np.float32)
    judged = task.judged(logits, task.targets(cells, []), [])
    path = tmp_path / "rows.parquet"

    stored_rows.write(path, split_of(cells), judged, logits, {})
    rows, _ = stored_rows.read(path, asked(path, sort="-loss"))

    assert [(row.row, row.predicted, row.loss) for row in rows] == [(4, "-3", 16.0), (3, "7", 2.25)]
    assert rows[0] == EvaluatedRow(
        row=4, line=6, text="text 4", label="5", predicted="-3", score=None, margin=None, loss=16.0
    )


def test_of_several_labels_the_least_sure_one_counts() -> None:
    """The thresholds are 0.5 and 0.2; both rows are given the first label alone."""
    task = MultiLabel(Fit(thresholds=[0.5, 0.2]))
    probabilities = np.array([[0.9, 0.1], [0.6, 0.15]])
    logits = np.log(probabilities / (1 - probabilities)).astype(np.float32)

    judged = task.judged(logits, task.targets(['["x"]', '["x", "y"]'], ["x", "y"]), ["x", "y"])

    assert judged.predicted == ['["x"]', '["x"]']
    assert judged.scores == pytest.approx([0.9, 0.6])
    assert judged.margins == pytest.approx([0.1, -0.05])
    assert judged.losses[0] == pytest.approx(-np.log(0.9))
    assert judged.losses[1] == pytest.approx(-(np.log(0.6) + np.log(0.15)) / 2)
