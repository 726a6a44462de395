"""The main job: from a labelled file to answered predictions, over HTTP."""

import html

import httpx
from tests.e2e import service as e2e
from tests.e2e.conftest import LONG, QUICK, SAVED


def test_the_report_names_the_three_faults_of_the_demo_set(
    client: httpx.Client, tickets: dict
) -> None:
    report = client.get(f"/datasets/{tickets['id']}/report").json()

    assert report["duplicates"]["exact"] == 1
    assert report["conflicts"]["texts"] == 1
    assert [variant["canonical"] for variant in report["labels"]["variants"]] == ["refund"]
    codes = {finding["code"] for finding in report["warnings"]}
    assert codes >= {"exact-duplicates", "near-duplicate-labels", "conflicting-duplicates"}


def test_a_finetune_leaves_a_version_with_its_lineage(
    client: httpx.Client, tickets: dict, versions: list[dict]
) -> None:
    job = versions[0]

    version = client.get(f"/models/intent/versions/{job['result']['version'].split('/')[1]}").json()

    assert version["job"] == job["id"]
    assert version["dataset"] == tickets["id"]
    assert version["dataset_fingerprint"] == tickets["fingerprint"]
    assert version["labels"] == tickets["labels"]
    assert version["parity"]["labels_changed"] == 0


def test_loss_learning_rate_and_gradient_norm_are_events(
    client: httpx.Client, versions: list[dict]
) -> None:
    events = client.get(f"/jobs/{versions[0]['id']}/events").json()["data"]

    logged = [event["data"] for event in events if event["type"] == "metric"]
    assert {"step", "loss", "learning_rate", "grad_norm"} <= set(logged[0])
    assert any("macro_f1" in data for data in logged)
    assert [event["type"] for event in events].count("end") == 1
    assert events[-1]["type"] == "end"


def test_a_finetune_leaves_its_curves_for_tensorboard(
    service: e2e.Service, versions: list[dict]
) -> None:
    log_dir = service.data_dir / "logs" / versions[0]["id"]

    written = (log_dir / "events.out.tfevents.000001").read_bytes()

    assert all(name in written for name in (b"loss", b"learning_rate", b"grad_norm", b"macro_f1"))


def test_the_evaluation_counts_every_test_row(
    client: httpx.Client, tickets: dict, versions: list[dict]
) -> None:
    job = e2e.ended(client, versions[0]["result"]["evaluate_job"])

    evaluation = client.get(f"/evaluations/{job['result']['evaluation']}").json()

    assert evaluation["rows"] == tickets["splits"]["test"]
    assert evaluation["runtime"] == "openvino"
    matrix = evaluation["confusion"]["matrix"]
    assert sum(map(sum, matrix)) == evaluation["rows"]
    hits = sum(matrix[i][i] for i in range(len(matrix)))
    assert evaluation["metrics"]["accuracy"]["value"] == hits / evaluation["rows"]


def test_an_evaluation_says_what_its_figures_are_worth(
    client: httpx.Client, tickets: dict, versions: list[dict]
) -> None:
    job = e2e.ended(client, versions[0]["result"]["evaluate_job"])

    evaluation = client.get(f"/evaluations/{job['result']['evaluation']}").json()

    accuracy = evaluation["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert set(evaluation["baselines"]) == {"majority", "tfidf", "untrained"}
    assert evaluation["tfidf_rows"] == tickets["splits"]["train"]
    splits = tickets["splits"]
    assert evaluation["lineage"]["datasets"] == [tickets["id"]]
    assert evaluation["lineage"]["compared"] == splits["train"] + splits["validation"]
    assert evaluation["lineage"]["overlap"] == 0
    assert evaluation["calibration"]["temperature"] != 1.0
    assert evaluation["fit"]["metric"] == "accuracy"
    assert "dataset-conflicts" in [finding["type"] for finding in evaluation["findings"]]
    assert evaluation["bytes"] > 0


def test_the_errors_of_an_evaluation_are_the_rows_beside_the_diagonal(
    client: httpx.Client, versions: list[dict]
) -> None:
    job = e2e.ended(client, versions[0]["result"]["evaluate_job"])
    path = f"/evaluations/{job['result']['evaluation']}"
    confusion = client.get(path).json()["confusion"]

    found = client.get(f"{path}/errors", params={"sort": "-loss", "limit": 100}).json()

    wrong = [(row["label"], row["predicted"]) for row in found["data"]]
    labels = confusion["labels"]
    assert {pair: wrong.count(pair) for pair in wrong} == {
        (labels[i], labels[j]): count
        for i, row in enumerate(confusion["matrix"])
        for j, count in enumerate(row)
        if count and i != j
    }
    assert [row["loss"] for row in found["data"]] == sorted(
        (row["loss"] for row in found["data"]), reverse=True
    )


def test_an_evaluation_has_a_report_for_people(client: httpx.Client, versions: list[dict]) -> None:
    job = e2e.ended(client, versions[0]["result"]["evaluate_job"])
    path = f"/evaluations/{job['result']['evaluation']}"
    wrong = client.get(f"{path}/errors", params={"sort": "-loss", "limit": 1}).json()["data"]

    report = client.get(f"{path}/report")
    plot = client.get(f"{path}/report", params={"plot": "precision"})

    assert report.headers["content-type"].startswith("text/html")
    assert f"Evaluation of {versions[0]['result']['version']}" in report.text
    assert all(html.escape(row["text"][:20]) in report.text for row in wrong)
    assert plot.text.startswith("<svg ")


def test_predictions_name_their_version_and_keep_their_order(
    client: httpx.Client, versions: list[dict]
) -> None:
    version = versions[0]["result"]["version"]
    e2e.deployed(client, "order", version)
    texts = ["I want my money back", "the app crashes", "我的包裹在哪里", "cannot log in"]

    together = client.post("/predict", json={"model": "order", "inputs": texts, "top_k": 3}).json()
    alone = [
        client.post("/predict", json={"model": "order", "inputs": [text], "top_k": 3}).json()
        for text in texts
    ]

    assert together["version"] == version
    for one, many in zip(alone, together["predictions"], strict=True):
        only = one["predictions"][0]
        assert only["label"] == many["label"]
        assert abs(only["score"] - many["score"]) < 1e-5  # fp32, another batch
        assert len(many["scores"]) == 3


def test_a_version_that_is_deployed_answers_by_its_own_name(
    client: httpx.Client, versions: list[dict]
) -> None:
    version = versions[1]["result"]["version"]
    e2e.deployed(client, "by-name", version)

    answer = client.post("/predict", json={"model": version, "inputs": ["refund please"]})

    assert answer.json()["version"] == version


def test_rollback_serves_the_version_before(client: httpx.Client, versions: list[dict]) -> None:
    first, second = (job["result"]["version"] for job in versions)
    e2e.deployed(client, "back", first)
    e2e.deployed(client, "back", second)

    answer = client.post("/deployments/back/rollback")

    assert answer.status_code == 202
    e2e.wait_for(
        client,
        "/deployments/back",
        lambda body: body["status"] == "ready" and body["actual"]["version"] == first,
    )
    predicted = client.post("/predict", json={"model": "back", "inputs": ["refund"]}).json()
    assert predicted["version"] == first


def test_a_stopped_deployment_answers_no_more(client: httpx.Client, versions: list[dict]) -> None:
    e2e.deployed(client, "gone", versions[0]["result"]["version"])

    client.delete("/deployments/gone")

    e2e.wait_for(client, "/deployments/gone", lambda body: body["status"] == "stopped")
    answer = client.post("/predict", json={"model": "gone", "inputs": ["hello"]})
    assert answer.status_code == 404


def test_what_is_served_in_int8_says_how_far_it_is_from_exact(
    client: httpx.Client, versions: list[dict]
) -> None:
    version = versions[0]["result"]["version"]

    client.put("/deployments/rounded", json={"version": version, "precision": "int8"})

    found = e2e.wait_for(
        client, "/deployments/rounded", lambda body: body["status"] not in ("loading", "stopped")
    )
    assert (found["status"], found["actual"]["precision"]) == ("ready", "int8"), found
    assert 0 < found["parity"]["largest_difference"] < 0.1
    client.delete("/deployments/rounded")


def test_a_checkpoint_of_a_running_job_can_be_deployed(client: httpx.Client, tickets: dict) -> None:
    job = e2e.finetune(
        client,
        tickets["id"],
        model="running",
        hyperparameters={**QUICK, "max_steps": 10_000, "early_stopping": None},
        checkpoints={"every": 8},
    )
    path = f"/jobs/{job['id']}"
    checkpoint = e2e.wait_until(
        lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint"
    )[0]

    client.put("/deployments/early", json={"checkpoint": checkpoint["id"]})

    e2e.wait_for(client, "/deployments/early", lambda body: body["status"] == "ready")
    answer = client.post("/predict", json={"model": "early", "inputs": ["refund"]}).json()
    assert answer["version"] == checkpoint["id"]
    assert client.get(path).json()["status"] == "running"
    client.post(f"{path}/cancel")
    client.delete("/deployments/early")
    assert e2e.ended(client, job["id"])["status"] == "cancelled"


def test_a_cancelled_job_keeps_its_last_checkpoint(client: httpx.Client, tickets: dict) -> None:
    job = e2e.finetune(
        client,
        tickets["id"],
        model="cancelled",
        hyperparameters={**QUICK, "max_steps": 10_000, "early_stopping": None},
        checkpoints={"every": 8},
    )
    path = f"/jobs/{job['id']}"
    e2e.wait_until(lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint")

    answer = client.post(f"{path}/cancel")

    assert answer.status_code == 202
    cancelled = e2e.ended(client, job["id"])
    assert cancelled["status"] == "cancelled"
    assert client.get(f"{path}/checkpoints").json()["data"]
    again = client.post(f"{path}/cancel")
    assert again.status_code == 200
    assert again.json()["status"] == "cancelled"


def test_a_paused_job_goes_on_where_it_was(client: httpx.Client, tickets: dict) -> None:
    job = e2e.finetune(
        client,
        tickets["id"],
        model="paused",
        hyperparameters=LONG,
        checkpoints=SAVED,
    )
    path = f"/jobs/{job['id']}"
    e2e.wait_until(lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint")

    client.post(f"{path}/pause")
    paused = e2e.wait_for(client, path, lambda body: body["status"] != "pausing")
    assert paused["status"] == "paused"
    client.post(f"{path}/resume")

    assert e2e.ended(client, job["id"])["status"] == "succeeded"
    events = client.get(f"{path}/events").json()["data"]
    saved = max(e["data"]["step"] for e in events[: _resumed(events)] if e["type"] == "checkpoint")
    later = [e["data"]["step"] for e in events[_resumed(events) :] if e["type"] == "metric"]
    assert min(later) > saved


def _resumed(events: list[dict]) -> int:
    """Return the index of the event with which the second attempt began."""
    return next(i for i, event in enumerate(events) if event["data"].get("attempt") == 2)


def test_rows_come_in_pages_and_in_file_order(client: httpx.Client, tickets: dict) -> None:
    path = f"/datasets/{tickets['id']}/rows"

    first = client.get(path, params={"split": "test", "limit": 40}).json()
    rest = client.get(path, params={"split": "test", "limit": 40, "after": first["last_id"]}).json()

    lines = [row["line"] for row in first["data"] + rest["data"]]
    assert len(lines) == tickets["splits"]["test"]
    assert lines == sorted(set(lines))
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_the_preview_shows_rows_as_tokens(client: httpx.Client, tickets: dict) -> None:
    preview = client.get(f"/datasets/{tickets['id']}/preview").json()

    assert len(preview["rows"]) == 20
    first = preview["rows"][0]
    assert first["tokens"][0] == "[CLS]"
    assert tickets["labels"][first["label_id"]] == first["label"]
    assert (
        0 < preview["unknown_share"] < 1
    )  # the tickets are English and Chinese, the model English
