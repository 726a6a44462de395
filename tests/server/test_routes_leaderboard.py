"""The list of evaluations: its filters, its order, and the list as CSV."""

import csv
import io

import msgspec
import pytest
from tests.client.answers import EVALUATION
from tests.server.conftest import Api

from tunery.types import Evaluation, Page
from tunery_server import leaderboard
from tunery_server.db.queries import evaluations
from tunery_server.ids import new_id


def add_evaluation(api: Api, accuracy: float, **fields: object) -> str:
    """Store an evaluation and return its id."""
    interval = {"value": accuracy, "low": accuracy / 2, "high": accuracy * 2}
    own = {"id": new_id("eval"), "job": new_id("job"), "metrics": {"accuracy": interval}}
    evaluation = msgspec.convert(EVALUATION | own | fields, Evaluation)

    async def body() -> None:
        async with api.services.database.write() as connection:
            await evaluations.add(
                connection, "default", evaluation, artifact="x", manifest_sha256="0" * 64
            )

    api.run(body())
    return evaluation.id


def listed(api: Api, query: str) -> list[str]:
    answer = api.get(f"/evaluations?{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def test_evaluations_are_filtered_and_ranked(api: Api) -> None:
    middle = add_evaluation(api, 0.8, version="intent/1")
    best = add_evaluation(api, 0.9, version="intent/2")
    other = add_evaluation(api, 0.95, version="intent2/1", dataset="ds_2")
    held = add_evaluation(api, 0.7, version="intent/2", split="validation")

    assert listed(api, "") == [held, other, best, middle]
    assert listed(api, "sort=-accuracy") == [other, best, middle, held]
    assert listed(api, "sort=accuracy&split=test") == [middle, best, other]
    assert listed(api, "sort=-accuracy&model=intent") == [best, middle, held]
    assert listed(api, "model=inten_") == []
    assert listed(api, "version=intent/2&dataset=ds_1&split=test") == [best]
    assert listed(api, f"sort=-accuracy&limit=1&after={best}") == [middle]


@pytest.mark.parametrize("sort", ["a.b", "--accuracy", '"', "accuracy desc", ""])
def test_what_can_be_no_metric_is_refused(calm_api: Api, sort: str) -> None:
    answer = calm_api.get("/evaluations", params={"sort": sort})

    assert (answer.status_code, answer.json()["code"]) == (422, "schema-violation")


def test_all_evaluations_come_as_csv(api: Api) -> None:
    ids = [add_evaluation(api, i / 1000) for i in range(103)]

    answer = api.get("/evaluations?sort=-accuracy&limit=1", headers={"Accept": "text/csv"})

    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv; header=present")
    assert [line["id"] for line in lines] == ids[::-1]
    assert lines[0] | {"created_at": ""} == {
        "id": ids[-1],
        "created_at": "",
        "version": "intent/3",
        "checkpoint": "",
        "dataset": "ds_1",
        "split": "test",
        "rows": "2",
        "runtime": "torch",
        "precision": "fp32",
        "test_set_uses": "1",
        "primary_metric": "",
        "accuracy": "0.102",
        "accuracy_low": "0.051",
        "accuracy_high": "0.204",
    }


def test_no_cell_is_a_formula_and_numbers_stay_numbers(api: Api) -> None:
    fields = {
        "version": '=HYPERLINK("http://127.0.0.1")',
        "runtime": "@SUM(A1)",
        "precision": "+1",
        "metrics": {"=mcc": {"value": -0.25}},
    }
    evaluation = msgspec.convert(EVALUATION | fields, Evaluation)

    async def fetch(_after: str | None) -> Page[Evaluation]:
        return Page(data=[evaluation], has_more=False, last_id=evaluation.id)

    text = api.run(leaderboard.as_csv(fetch))

    (line,) = csv.DictReader(io.StringIO(text))
    assert line["version"] == '\'=HYPERLINK("http://127.0.0.1")'
    assert (line["runtime"], line["precision"], line["'=mcc"]) == ("'@SUM(A1)", "'+1", "-0.25")
