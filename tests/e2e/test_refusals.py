"""What a newcomer gets wrong: each has a status, a code and a hint, and nothing is left behind."""

import json
from pathlib import Path

import httpx
import pytest
from tests.e2e import service as e2e

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/finetune", b'{"dataset": "ds_x", "model": "m", "learning_rte": 1}', JSON, 422,
         "unknown-field"),
        ("/finetune", b"[" * 100_000, JSON, 400, "json-too-deep"),
        ("/finetune", b'{"x": ' * 100_000 + b"1" + b"}" * 100_000, JSON, 400, "json-too-deep"),
        ("/predict", b'{"model": "m", "inputs": ["\xff"]}', JSON, 400, "invalid-utf8"),
        ("/predict", b'{"model": "m", "inputs": ["\\ud800"]}', JSON, 400, "invalid-unicode"),
        ("/finetune", b"{}", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ("/predict", b'{"model": "nobody", "inputs": ["x"]}', JSON, 404, "model-not-found"),
        ("/predict", b'{"model": "m", "inputs": []}', JSON, 422, "empty-batch"),
        ("/finetune", b'{"dataset": "ds_x"', JSON, 400, "malformed-json"),
        ("/finetune", b"", JSON, 400, "empty-body"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_with_its_code(
    client: httpx.Client, path: str, body: bytes, headers: dict, status: int, code: str
) -> None:
    answer = client.post(path, content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["hint"]


def test_an_unknown_base_model_is_refused_with_the_list(
    client: httpx.Client, tickets: dict
) -> None:
    spec = {"dataset": tickets["id"], "model": "m", "base_model": "../../etc/passwd"}

    answer = client.post("/finetune", json=spec)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-base-model")
    assert "minilm-l6" in json.dumps(answer.json())


def test_an_unknown_deployment_is_not_found(client: httpx.Client) -> None:
    answer = client.get("/deployments/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "deployment-not-found")


def test_no_key_opens_nothing(service: e2e.Service) -> None:
    answer = httpx.get(f"{service.url}/jobs")

    assert (answer.status_code, answer.json()["code"]) == (401, "missing-credentials")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_csv_is_rejected_with_every_bad_line(client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text('text,label\ngood,a\nfine,b\n,a\nsome,\na,b,c\nnice,a\n"open,b\nx,a\n')
    file_id = e2e.upload(client, path)

    answer = client.post("/datasets", json={"name": "wrong", "file": file_id})

    made = e2e.wait_for(
        client, answer.headers["Location"], lambda body: body["status"] != "validating"
    )
    assert made["status"] == "rejected"
    report = client.get(f"/datasets/{made['id']}/report").json()
    found = {(error["line"], error["code"]) for error in report["errors"]}
    assert found >= {
        (4, "empty-text"),
        (5, "null-label"),
        (6, "ragged-row"),
        (8, "unbalanced-quote"),
    }
    job = client.post("/finetune", json={"dataset": made["id"], "model": "m"})
    assert (job.status_code, job.json()["code"]) == (409, "dataset-not-ready")
