"""The report over HTTP: its kinds, its headers, and what is not there."""

import pytest
from tests.server.conftest import Api
from tests.server.test_routes_evaluations import add_evaluation
from tests.server.test_routes_rows import with_reader


def test_the_report_is_a_page_that_a_browser_runs_nothing_of(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    answer = with_reader(api, api.send("GET", f"/evaluations/{evaluation}/report"))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("; frame-ancestors 'none'; sandbox")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<h1>Evaluation of intent/3</h1>" in answer.text
    assert "The 2 of 2 that cost the model most" in answer.text


def test_the_report_speaks_the_language_that_is_asked_for(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    headers = {"Accept-Language": "zh-CN,zh;q=0.9"}
    asking = api.send("GET", f"/evaluations/{evaluation}/report", headers=headers)
    answer = with_reader(api, asking)

    assert answer.headers["content-language"] == "zh"
    assert "<h1>intent/3 的评估</h1>" in answer.text


def test_the_facts_come_as_a_model_card(api: Api) -> None:
    dataset = api.add_dataset()
    evaluation = add_evaluation(api, dataset)

    headers = {"Accept": "text/markdown", "Accept-Language": "zh"}
    asking = api.send("GET", f"/evaluations/{evaluation}/report", headers=headers)
    answer = with_reader(api, asking)

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-language"] == "en"
    assert "| accuracy | 0.926 |  |" in answer.text.splitlines()
    assert evaluation.replace("_", "\\_") in answer.text


@pytest.mark.parametrize(("plot", "status"), [("confusion", 200), ("reliability", 404)])
def test_a_plot_comes_as_svg_where_there_is_one(api: Api, plot: str, status: int) -> None:
    evaluation = add_evaluation(api, api.add_dataset())

    answer = with_reader(api, api.send("GET", f"/evaluations/{evaluation}/report?plot={plot}"))

    assert answer.status_code == status
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind == ("image/svg+xml" if status == 200 else "application/problem+json")


def test_the_report_of_rows_that_were_deleted_keeps_its_figures(api: Api) -> None:
    dataset = api.add_dataset()
    evaluation = add_evaluation(api, dataset)
    assert api.delete(f"/datasets/{dataset}").status_code == 204

    answer = api.get(f"/evaluations/{evaluation}/report")

    assert "The rows were deleted with their dataset; the figures stay." in answer.text
    assert "0.926" in answer.text
    assert f"<code>{dataset}</code> (deleted)" in answer.text


def test_the_report_of_another_project_is_not_shown(api: Api) -> None:
    evaluation = add_evaluation(api, api.add_dataset())
    stranger = api.headers("admin", project="other")

    answer = api.get(f"/evaluations/{evaluation}/report", headers=stranger)

    assert (answer.status_code, answer.json()["code"]) == (404, "evaluation-not-found")


def test_the_report_needs_a_key_and_the_reader(api: Api) -> None:
    path = f"/evaluations/{add_evaluation(api, api.add_dataset())}/report"

    assert api.get(path, anonymous=True).status_code == 401
    assert api.get(path).json()["code"] == "engine-restarted"
