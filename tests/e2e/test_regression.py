"""A number to a text over HTTP, from the file to the answer."""

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

STARS = {"awful": 1, "poor": 2, "fair": 3, "good": 4, "superb": 5}


@pytest.fixture(scope="module")
def stars(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return a dataset of reviews with one to five stars."""
    things = ["soup", "room", "staff", "bed", "view", "train"]
    rows = ["text,stars"]
    for i in range(120):
        word = list(STARS)[i % 5]
        rows.append(f"the {things[i % 6]} of day {i} was {word},{STARS[word]}")
    path = tmp_path_factory.mktemp("stars") / "stars.csv"
    path.write_text("\n".join(rows))
    columns = {"text": "text", "label": "stars"}
    spec = {"task": "regression", "columns": columns, "policies": {"near_duplicates": "skip"}}
    return e2e.dataset(client, path, "stars", **spec)


def test_numbers_are_trained_evaluated_and_answered(client: httpx.Client, stars: dict) -> None:
    job = e2e.finetune(client, stars["id"], evaluated=True, model="stars", hyperparameters=QUICK)
    ended = e2e.ended(client, job["id"])
    assert ended["status"] == "succeeded", ended
    e2e.deployed(client, "stars", ended["result"]["version"])
    evaluated = e2e.ended(client, ended["result"]["evaluate_job"])

    evaluation = client.get(f"/evaluations/{evaluated['result']['evaluation']}").json()
    answer = client.post("/predict", json={"model": "stars", "inputs": ["the soup was superb"]})
    ranked = client.post("/predict", json={"model": "stars", "inputs": ["x"], "top_k": 2})

    assert stars["labels"] == []
    assert evaluation["metrics"].keys() >= {"mae", "rmse", "r2", "pearson", "spearman", "loss"}
    assert (evaluation["per_class"], evaluation["confusion"]) == ([], None)
    [prediction] = answer.json()["predictions"]
    assert -5 < prediction["value"] < 10
    assert (prediction["label"], prediction["scores"]) == ("", [])
    assert (ranked.status_code, ranked.json()["code"]) == (422, "out-of-range")


def test_early_stopping_on_accuracy_is_refused(client: httpx.Client, stars: dict) -> None:
    asked = {"early_stopping": {"metric": "accuracy"}}

    answer = client.post(
        "/finetune", json={"dataset": stars["id"], "model": "x", "hyperparameters": asked}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-metric")
