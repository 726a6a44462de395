"""Training rows that are most like a row which was answered wrong."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from tunery_trainer.evaluate import neighbours
from tunery_trainer.evaluate.baselines import Vectors, compared
from tunery_trainer.evaluate.neighbours import nearest, neighbours_of
from tunery_trainer.tasks import Judged
from tunery_trainer.tasks.text_classification import TextClassification

TRAIN = ["red apple", "green apple", "old car", "new car", "a boat", "x"]
ASKED = ["red apples", "an old car", "boats"]
LABELS = ["fruit", "vehicle"]


def vectors_of(train: list[str], asked: list[str]) -> Vectors:
    return compared(
        TextClassification(),
        train,
        np.array([0, 0, 1, 1, 1, 0][: len(train)]),
        held_out=asked,
        truth=np.zeros(len(asked), np.int64),
        labels=LABELS,
        primary="accuracy",
        alive=lambda: None,
    ).vectors


def judged(predicted: list[str], losses: list[float]) -> Judged:
    ones = np.ones(len(predicted))
    return Judged(predicted, ones, ones, np.array(losses))


@pytest.mark.parametrize("held", [1, 10_000_000])
def test_the_nearest_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(neighbours, "_HELD", held)
    vectors = vectors_of(TRAIN, ASKED)

    places, similarities = nearest(vectors, np.array([2, 0, 1]), lambda: None)

    expected = cosine_similarity(vectors.held_out[[2, 0, 1]], vectors.train)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :3]
    assert places.tolist() == order.tolist()
    assert similarities == pytest.approx(np.take_along_axis(expected, order, 1))
    assert places[:, 0].tolist() == [4, 0, 2]


def test_only_rows_that_were_answered_wrong_have_neighbours() -> None:
    train = pa.table({"line": range(2, 8), "text": TRAIN, "label": ["a"] * 6})
    cells = np.array(["fruit", "vehicle", "vehicle"], object)
    answers = judged(["vehicle", "vehicle", "fruit"], [0.5, 0.1, 2.0])

    found = neighbours_of(answers, cells, vectors_of(TRAIN, ASKED), train, lambda: None)

    assert list(found) == [2, 0]
    best = found[0][0]
    assert (best.line, best.text, best.text_pair, best.label) == (2, "red apple", None, "a")
    assert all(each.similarity > 0 for every in found.values() for each in every)


def test_those_that_cost_most_come_before_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MAX_ROWS", 1)
    pairs = {"text": ["é" * 500] * 2, "text_pair": ["y"] * 2, "label": ["a", "b"]}
    train = pa.table({"line": [7, 9], **pairs})
    cells = np.array(["a", "a", "a"], object)

    found = neighbours_of(
        judged(["b", "b", "b"], [1.0, 3.0, 2.0]),
        cells,
        vectors_of(["an old car", "boats"], ASKED),
        train,
        lambda: None,
    )

    assert list(found) == [1]
    assert {len(each.text) for each in found[1]} == {200}
    assert found[1][0].similarity == pytest.approx(1.0)
    assert found[1][0].text_pair == "y"
