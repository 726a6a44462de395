"""The rows of an evaluation, through the real reader on its socket, and when they go."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.server.conftest import Api
from tests.server.test_routes_rows import with_reader

from tunery_server.db.queries import evaluations
from tunery_trainer.tasks import Judged


def add_evaluation(api: Api, dataset: str) -> str:
    """Store an evaluation of three rows, of which the last two were answered wrong."""
    rows = pa.table({"line": [2, 3, 4], "text": ["x", "y", "z"], "label": ["a", "a", "b"]})
    judged = Judged(
        ["a", "b", "a"], *np.array([[0.9, 0.6, 0.7], [0.8, -0.2, -0.4], [0.1, 0.9, 1.2]])
    )
    example = {"row": 1, "text": "y", "label": "a", "predicted": "b"}
    pair = {"type": "confused-pair", "label": "a", "other_label": "b", "message": "a for b"}
    finding = pair | {"numbers": {"rows": 2}, "advice": "Read them.", "examples": [example]}
    return api.add_evaluation(rows, judged, dataset=dataset, bytes=1234, findings=[finding])


def test_errors_are_rows_that_were_answered_wrong(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    path = f"/evaluations/{evaluation}/errors?sort=-loss&limit=1"
    first = with_reader(api, api.send("GET", path)).json()
    second = with_reader(api, api.send("GET", f"{path}&after={first['last_id']}")).json()

    assert first == {
        "data": [
            {
                "row": 2,
                "line": 4,
                "text": "z",
                "text_pair": None,
                "label": "b",
                "predicted": "a",
                "score": 0.7,
                "margin": -0.4,
                "loss": 1.2,
                "nearest": [],
                "abstained": False,
            }
        ],
        "has_more": True,
        "last_id": "1",
    }
    assert ([row["row"] for row in second["data"]], second["has_more"]) == ([1], False)


def test_rows_tell_whether_the_version_would_have_answered(api: Api) -> None:
    rows = pa.table({"line": [2, 3], "text": ["x", "y"], "label": ["a", "b"]})
    judged = Judged(["b", "a"], *np.zeros((3, 2)), abstained=np.array([True, False]))
    evaluation = api.add_evaluation(rows, judged, dataset=api.add_dataset())

    answer = with_reader(api, api.send("GET", f"/evaluations/{evaluation}/errors?sort=row"))

    assert [row["abstained"] for row in answer.json()["data"]] == [True, False]


def test_rows_are_filtered_by_what_is_true_and_what_was_answered(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    path = f"/evaluations/{evaluation}/errors?true=a&predicted=a&right=true"
    answer = with_reader(api, api.send("GET", path))

    assert [row["text"] for row in answer.json()["data"]] == ["x"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("sort=text", 422, "schema-violation"),
        ("after=x", 422, "invalid-pagination"),
        ("right=maybe", 422, "schema-violation"),
        ("limit=0", 422, "invalid-pagination"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(api: Api, query: str, status: int, code: str) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    answer = api.get(f"/evaluations/{evaluation}/errors?{query}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_rows_of_another_project_are_not_shown(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())
    stranger = api.headers("admin", project="other")

    answer = api.get(f"/evaluations/{evaluation}/errors", headers=stranger)

    assert (answer.status_code, answer.json()["code"]) == (404, "evaluation-not-found")


def test_rows_go_with_their_dataset_and_figures_stay(api: Api) -> None:
    dataset = api.add_dataset()
    evaluation = add_evaluation(api, dataset)
    folder = api.services.artifacts.readable("evaluations") / evaluation
    assert Path(folder, "rows.parquet").is_file()

    before = api.get(f"/evaluations/{evaluation}").json()
    assert [len(each["examples"]) for each in before["findings"]] == [1]
    assert api.delete(f"/datasets/{dataset}").status_code == 204

    assert not folder.exists()
    kept = api.get(f"/evaluations/{evaluation}").json()
    assert [each["examples"] for each in kept["findings"]] == [[]]
    assert (kept["metrics"]["accuracy"]["value"], kept["bytes"]) == (0.926, 0)
    answer = api.get(f"/evaluations/{evaluation}/errors")
    assert (answer.status_code, answer.json()["code"]) == (404, "evaluation-not-found")
    assert "were deleted" in answer.json()["detail"]


def test_the_sweep_leaves_the_rows_that_an_evaluation_names(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    async def body() -> set[str]:
        async with api.services.database.read() as connection:
            return await evaluations.artifacts(connection)

    assert api.run(body()) == {f"evaluations/{evaluation}"}
