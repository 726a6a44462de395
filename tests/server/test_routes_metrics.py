"""Metrics of a job: by name, thinned, as JSON and as CSV."""

from typing import Any

import pytest
from tests.server.conftest import Api

from tunery_server.db.queries import jobs

CSV = {"Accept": "text/csv"}
NAN = {"value": None, "non_finite": "nan"}


def add_metrics(api: Api, *metrics: dict[str, Any]) -> str:
    """Return the id of a running job that has logged so much."""
    job_id = api.add_job(status="running")

    async def body() -> None:
        async with api.services.database.write() as connection:
            events = [("metric", data) for data in metrics]
            assert await jobs.record(connection, job_id, attempt=1, events=events)  # type: ignore[arg-type]

    api.run(body())
    return job_id


def spiked(api: Api) -> str:
    """Return a job whose loss falls for a thousand steps, with a spike at step 700."""
    losses = [{"step": step, "loss": 9.0 if step == 700 else 1 / step} for step in range(1, 1001)]
    return add_metrics(api, *losses, {"step": 500, "accuracy": 0.5}, {"step": 1000, "accuracy": 1})


def test_csv_has_a_line_per_step_and_a_column_per_metric(api: Api) -> None:
    job_id = add_metrics(
        api,
        {"step": 1, "loss": 2.5, "grad_norm": 1.0},
        {"step": 2, "loss": NAN, "grad_norm": {"value": None, "non_finite": "-inf"}},
        {"step": 2, "accuracy": 1},
    )

    answer = api.get(f"/jobs/{job_id}/metrics", headers=CSV)

    assert answer.headers["Content-Type"] == "text/csv; header=present; charset=utf-8"
    assert answer.text == "step,loss,grad_norm,accuracy\n1,2.5,1.0,\n2,nan,-inf,1\n"


def test_csv_of_named_metrics_has_their_columns_also_where_nothing_was_logged(api: Api) -> None:
    job_id = add_metrics(api, {"step": 1, "loss": 2.5, "grad_norm": 1.0}, {"step": 2, "loss": 2.0})

    answer = api.get(f"/jobs/{job_id}/metrics?names=macro_f1,grad_norm", headers=CSV)

    assert answer.text == "step,macro_f1,grad_norm\n1,,1.0\n"


def test_named_metrics_come_alone(api: Api) -> None:
    job_id = add_metrics(api, {"step": 1, "loss": 2.5, "grad_norm": 1.0}, {"step": 2, "loss": NAN})

    answer = api.get(f"/jobs/{job_id}/metrics?names=loss")

    assert answer.json()["data"] == [
        {"step": 1, "values": {"loss": 2.5}},
        {"step": 2, "values": {"loss": NAN}},
    ]


def test_a_thinned_curve_keeps_its_ends_and_its_spike(api: Api) -> None:
    points = api.get(f"/jobs/{spiked(api)}/metrics?downsample=20").json()["data"]

    losses = {
        point["step"]: point["values"]["loss"] for point in points if "loss" in point["values"]
    }
    assert len(losses) == 20
    assert {losses[1], losses[700], losses[1000]} == {1.0, 9.0, 0.001}


def test_a_metric_of_few_steps_is_not_thinned_with_the_others(api: Api) -> None:
    points = api.get(f"/jobs/{spiked(api)}/metrics?downsample=2").json()["data"]

    assert points == [
        {"step": 1, "values": {"loss": 1.0}},
        {"step": 500, "values": {"accuracy": 0.5}},
        {"step": 1000, "values": {"loss": 0.001, "accuracy": 1}},
    ]


def test_a_thinned_curve_keeps_the_step_that_was_not_finite(api: Api) -> None:
    job_id = add_metrics(
        api, *({"step": step, "loss": NAN if step == 55 else 1.0} for step in range(1, 101))
    )

    answer = api.get(f"/jobs/{job_id}/metrics?downsample=4", headers=CSV)

    assert "55,nan" in answer.text.splitlines()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("downsample=1", "out-of-range"),
        ("downsample=x", "schema-violation"),
        ("names=", "schema-violation"),
        ("names=loss,,x", "schema-violation"),
        ("names=%00", "schema-violation"),
    ],
)
def test_bad_parameter_is_refused(api: Api, query: str, code: str) -> None:
    answer = api.get(f"/jobs/{api.add_job()}/metrics?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
