"""Several labels to a text over HTTP, from the file to the answer."""

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK

COLUMNS = {"text": "text", "label": "tags", "label_separator": "|"}
WORDS = {"food": "the soup was cold", "price": "it costs too much", "staff": "the waiter was rude"}


@pytest.fixture(scope="module")
def tagged(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return a dataset of texts that complain of none, one or several things."""
    rows = ["text,tags"]
    for i in range(160):
        tags = [tag for j, tag in enumerate(WORDS) if i >> j & 1]
        said = " and ".join(WORDS[tag] for tag in tags) or "all was fine"
        rows.append(f"visit {i}: {said},{'|'.join(tags)}")
    path = tmp_path_factory.mktemp("tagged") / "tagged.csv"
    path.write_text("\n".join(rows))
    spec = {"task": "multi_label", "columns": COLUMNS, "policies": {"near_duplicates": "skip"}}
    return e2e.dataset(client, path, "tagged", **spec)


@pytest.fixture(scope="module")
def deployed(client: httpx.Client, tagged: dict) -> dict:
    """Return the finished job of a model of several labels, deployed as `tagged`."""
    job = e2e.finetune(client, tagged["id"], evaluated=True, model="tagged", hyperparameters=QUICK)
    ended = e2e.ended(client, job["id"])
    assert ended["status"] == "succeeded", ended
    e2e.deployed(client, "tagged", ended["result"]["version"])
    return ended


def test_dataset_and_preview_know_each_label(client: httpx.Client, tagged: dict) -> None:
    rows = client.get(f"/datasets/{tagged['id']}/preview").json()["rows"]

    assert (tagged["task"], tagged["labels"]) == ("multi_label", ["food", "price", "staff"])
    several = next(row for row in rows if row["label"] == '["food", "staff"]')
    assert (several["label_ids"], several["label_id"]) == ([0, 2], 0)


def test_answers_list_the_labels_that_reach_their_threshold(
    client: httpx.Client, deployed: dict
) -> None:
    asked = {"model": "tagged", "inputs": ["the soup was cold", "all was fine"], "top_k": 3}

    answers = client.post("/predict", json=asked).json()["predictions"]

    for answer in answers:
        assert set(answer["labels"]) <= {"food", "price", "staff"}
        assert answer["label"] == answer["scores"][0]["label"]
        assert len(answer["scores"]) == 3


def test_evaluation_has_no_confusion(client: httpx.Client, deployed: dict, tagged: dict) -> None:
    job = e2e.ended(client, deployed["result"]["evaluate_job"])

    evaluation = client.get(f"/evaluations/{job['result']['evaluation']}").json()

    assert evaluation["confusion"] is None
    assert evaluation["rows"] == tagged["splits"]["test"]
    assert [each["label"] for each in evaluation["per_class"]] == ["food", "price", "staff"]
    names = {"subset_accuracy", "hamming_loss", "micro_f1", "macro_f1", "weighted_f1", "loss"}
    assert names <= evaluation["metrics"].keys()


def test_what_is_of_another_task_is_refused_at_once(
    client: httpx.Client, deployed: dict, tagged: dict, tickets: dict
) -> None:
    probe = {"dataset": tagged["id"], "model": "x", "hyperparameters": {"linear_probe": True}}
    rows = {"version": deployed["result"]["version"], "dataset": tickets["id"]}

    unfit, strange = client.post("/finetune", json=probe), client.post("/evaluate", json=rows)

    assert (unfit.status_code, unfit.json()["code"]) == (422, "not-for-task")
    assert unfit.json()["errors"][0]["pointer"] == "/hyperparameters/linear_probe"
    assert (strange.status_code, strange.json()["code"]) == (422, "task-mismatch")
