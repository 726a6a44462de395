"""Pairs of texts over HTTP, from the file to the answer."""

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

COLUMNS = {"text": "question", "text_pair": "answer", "label": "fits"}


@pytest.fixture(scope="module")
def pairs(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return a dataset of pairs; the label is told by both texts together."""
    things = ["card", "parcel", "invoice", "password", "refund", "account"]
    rows = ["question,answer,fits"]
    for i, thing in enumerate(things * 10):
        rows.append(f"where is my {thing} no {i}?,the {thing} {i} is on its way,yes")
        other = things[(i + 1 + i // 6 % 5) % 6]
        rows.append(f"where is my {thing} no {i}?,the {other} {i} is on its way,no")
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    path.write_text("\n".join(rows))
    spec = {"columns": COLUMNS, "policies": {"near_duplicates": "skip"}}
    return e2e.dataset(client, path, "pairs", **spec)


@pytest.fixture(scope="module")
def deployed(client: httpx.Client, pairs: dict) -> dict:
    """Return the finished job of a model that reads pairs, deployed as `pairs`."""
    job = e2e.finetune(client, pairs["id"], evaluated=True, model="pairs", hyperparameters=QUICK)
    ended = e2e.ended(client, job["id"])
    assert ended["status"] == "succeeded", ended
    e2e.deployed(client, "pairs", ended["result"]["version"])
    return ended


def test_rows_and_preview_show_both_texts(client: httpx.Client, pairs: dict) -> None:
    rows = client.get(f"/datasets/{pairs['id']}/rows").json()["data"]
    preview = client.get(f"/datasets/{pairs['id']}/preview").json()["rows"]

    assert rows[0]["text"].startswith("where is my")
    assert rows[0]["text_pair"].startswith("the ")
    assert preview[0]["text_pair"] == rows[0]["text_pair"]
    assert preview[0]["tokens"].count("[SEP]") == 2


def test_pairs_are_answered_and_single_texts_refused(client: httpx.Client, deployed: dict) -> None:
    pair = {"text": "where is my card?", "text_pair": "the card is on its way"}

    answered = client.post("/predict", json={"model": "pairs", "inputs": [pair, pair]})
    refused = client.post("/predict", json={"model": "pairs", "inputs": ["where is my card?"]})
    empty = client.post("/predict", json={"model": "pairs", "inputs": [pair | {"text_pair": " "}]})

    assert answered.status_code == 200, answered.json()
    assert [each["label"] in ("yes", "no") for each in answered.json()["predictions"]] == [True] * 2
    assert (refused.status_code, refused.json()["code"]) == (422, "pair-mismatch")
    assert empty.json()["errors"][0]["pointer"] == "/inputs/0/text_pair"


def test_other_kind_of_rows_is_not_evaluated(
    client: httpx.Client, deployed: dict, tickets: dict
) -> None:
    spec = {"version": deployed["result"]["version"], "dataset": tickets["id"]}

    answer = client.post("/evaluate", json=spec)

    assert (answer.status_code, answer.json()["code"]) == (422, "pair-mismatch")


def test_evaluation_reads_pairs(client: httpx.Client, deployed: dict, pairs: dict) -> None:
    job = e2e.ended(client, deployed["result"]["evaluate_job"])

    evaluation = client.get(f"/evaluations/{job['result']['evaluation']}").json()

    assert evaluation["rows"] == pairs["splits"]["test"]
