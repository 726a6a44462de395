"""Abstaining over HTTP: asked for by a fine-tune, measured, served and counted."""

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK
from tests.e2e.scrape import scrape

WANTED = {"by": "coverage", "coverage": 0.5}


@pytest.fixture(scope="module")
def deployed(client: httpx.Client, tickets: dict) -> dict:
    """Return the finished job of a model that answers the surer half, deployed as `sure`."""
    asked = {"model": "sure", "hyperparameters": QUICK, "abstain": WANTED}
    job = e2e.ended(client, e2e.finetune(client, tickets["id"], evaluated=True, **asked)["id"])
    assert job["status"] == "succeeded", job
    e2e.deployed(client, "sure", job["result"]["version"])
    return job


@pytest.fixture(scope="module")
def evaluation(client: httpx.Client, deployed: dict) -> dict:
    """Return the evaluation that followed."""
    job = e2e.ended(client, deployed["result"]["evaluate_job"])
    return client.get(f"/evaluations/{job['result']['evaluation']}").json()


def test_what_is_served_abstains_where_the_evaluation_says(
    client: httpx.Client, tickets: dict, evaluation: dict
) -> None:
    rows = client.get(f"/datasets/{tickets['id']}/rows?split=test&limit=100").json()["data"]
    asked = {"model": "sure", "inputs": [row["text"] for row in rows]}
    thresholds = {each["label"]: each["threshold"] for each in evaluation["abstention"]["labels"]}

    answers = client.post("/predict", json=asked).json()["predictions"]

    assert len(rows) == evaluation["rows"]
    assert {each["decision"] for each in answers} == {"answer", "abstain"}
    for each in answers:
        answered = each["score"] > thresholds[each["label"]]
        assert each["decision"] == ("answer" if answered else "abstain")
        assert each["reject_reason"] == (None if answered else "low_confidence")
    share = sum(each["decision"] == "answer" for each in answers) / len(answers)
    assert evaluation["metrics"]["coverage"]["value"] == pytest.approx(share)
    assert evaluation["abstention"]["wanted"] == WANTED
    abstained = sum(each["decision"] == "abstain" for each in answers)
    assert scrape(client).sum("tunery_abstained_texts_total", deployment="sure") == abstained


def test_rows_page_and_card_tell_it(client: httpx.Client, evaluation: dict) -> None:
    at = f"/evaluations/{evaluation['id']}"

    rows = client.get(f"{at}/errors?right=true&sort=row&limit=100").json()["data"]
    page = client.get(f"{at}/report").text
    plot = client.get(f"{at}/report?plot=abstention")
    card = client.get(f"{at}/report", headers={"Accept": "text/markdown"}).text

    answered = sum(not row["abstained"] for row in rows)
    assert answered / len(rows) == pytest.approx(evaluation["metrics"]["coverage"]["value"])
    assert '<h2 id="abstention">' in page
    assert plot.headers["content-type"].startswith("image/svg+xml")
    assert "## Abstention" in card
