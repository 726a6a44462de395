"""Uploads and datasets: what is kept, what is refused, what is left behind."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest
from tests.server.conftest import Api

CSV = b"text,label\nhello,a\nbye,b\n"


def upload(api: Api, content: Any = CSV, name: str = "a.csv", **headers: str) -> Any:
    headers = {"Content-Type": "text/csv", **headers}
    return api.post("/files", content=content, params={"name": name}, headers=headers)


def left_behind(api: Api) -> list[str]:
    incoming = [path.name for path in api.services.artifacts.incoming.iterdir()]
    files = api.services.artifacts.incoming.parent / "files"
    return incoming + ([path.name for path in files.iterdir()] if files.is_dir() else [])


def test_uploaded_bytes_are_kept_under_their_hash(api: Api) -> None:
    answer = upload(api)

    file = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/files/{file['id']}"
    assert (file["name"], file["bytes"]) == ("a.csv", 25)
    assert file["sha256"] == hashlib.sha256(CSV).hexdigest()
    assert left_behind(api) == [file["sha256"]]
    assert api.get(f"/files/{file['id']}").json() == file


def test_deleted_file_takes_its_bytes_only_with_the_last_name(api: Api) -> None:
    first, second = upload(api).json()["id"], upload(api).json()["id"]

    assert api.delete(f"/files/{first}").status_code == 204
    assert len(left_behind(api)) == 1
    assert api.delete(f"/files/{second}").status_code == 204
    assert left_behind(api) == []
    assert api.get(f"/files/{first}").status_code == 404


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 422, "empty-file"),
        (b"PAR1....PAR1", {}, 422, "format-mismatch"),
        (b"PK\x03\x04....", {}, 415, "unsupported-format"),
        (b"\x1f\x8b\x08....", {}, 415, "unsupported-format"),
        (b"\x80\x04\x95....", {}, 415, "unsupported-format"),
        (b"\x28\xb5\x2f\xfd....", {}, 415, "unsupported-format"),
        (b"\x00" * 257 + b"ustar", {}, 415, "unsupported-format"),
        (CSV, {"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported-media-type"),
        (CSV, {"Content-Type": "application/pdf"}, 415, "unsupported-media-type"),
        (CSV, {"Content-Type": ""}, 415, "unsupported-media-type"),
        (CSV, {"Content-Digest": "sha-256=:AAAA:"}, 422, "digest-mismatch"),
        (CSV, {"Content-Digest": "sha-256=:A:"}, 400, "bad-request"),
        (b"x" * 100_001, {}, 413, "body-too-large"),
        (CSV, {"Idempotency-Key": "x" * 300}, 400, "bad-idempotency-key"),
    ],
)
def test_bad_upload_is_refused_and_leaves_nothing(
    api: Api, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = upload(api, content, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert left_behind(api) == []


def test_multipart_is_answered_with_the_curl_line(calm_api: Api) -> None:
    answer = upload(calm_api, **{"Content-Type": "multipart/form-data; boundary=x"})

    assert "curl --data-binary" in answer.json()["hint"]


def test_chunked_upload_is_stopped_at_the_limit(api: Api) -> None:
    sent = []

    async def chunks() -> Any:
        for i in range(100):
            sent.append(i)
            yield b"x" * 10_000

    answer = upload(api, chunks())

    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert answer.headers["connection"] == "close"
    assert left_behind(api) == []


def test_right_digest_is_accepted(api: Api) -> None:
    digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()

    assert upload(api, **{"Content-Digest": f"sha-256=:{digest}:"}).status_code == 201


@pytest.mark.parametrize("name", ["", "x" * 300, "../x", "a\0", "a\nb", "a\\b"])
def test_bad_names_are_refused(calm_api: Api, name: str) -> None:
    file = upload(calm_api, name=name)
    dataset = calm_api.post("/datasets", {"name": name, "file": "file_x"})

    assert (file.status_code, file.json()["code"]) == (422, "invalid-name")
    assert (dataset.status_code, dataset.json()["code"]) == (422, "invalid-name")


def test_dataset_comes_with_its_ingest_job(api: Api) -> None:
    file_id = upload(api).json()["id"]

    answer = api.post("/datasets", {"name": "<b>x", "file": file_id})

    dataset = answer.json()
    assert (answer.status_code, dataset["status"], dataset["version"]) == (202, "validating", 1)
    assert answer.headers["location"] == f"/datasets/{dataset['id']}"
    job = api.get(f"/jobs/{dataset['job']}").json()
    assert (job["kind"], job["status"], job["spec"]["file"]) == ("ingest", "queued", file_id)
    assert api.delete(f"/files/{file_id}").json()["code"] == "file-in-use"
    assert api.delete(f"/datasets/{dataset['id']}").json()["code"] == "dataset-in-use"
    assert api.get(f"/datasets/{dataset['id']}/report").json()["code"] == "dataset-not-ready"


def test_same_name_is_the_next_version_and_other_case_is_refused(api: Api) -> None:
    file_id = upload(api).json()["id"]
    first = api.post("/datasets", {"name": "bank", "file": file_id}).json()

    second = api.post("/datasets", {"name": "bank", "file": file_id}).json()
    other = api.post("/datasets", {"name": "BANK", "file": file_id})

    assert (second["version"], second["parent"]) == (2, first["id"])
    assert (other.status_code, other.json()["code"]) == (409, "name-taken")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "schema-violation"),
        ({"file": "a", "files": {"train": "a", "test": "b"}}, 422, "schema-violation"),
        ({"file": "file_unknown"}, 404, "not-found"),
        ({"file": "a", "split": {"train": 0.5}}, 422, "invalid-split"),
        (
            {"file": "a", "split": {"train": 1.0, "validation": 0.0, "test": 0.0}},
            422,
            "invalid-split",
        ),
        ({"file": "a", "task": "poetry"}, 422, "schema-violation"),
        ({"file": "a", "policies": {"empty": "drop", "x": 1}}, 422, "unknown-field"),
    ],
)
def test_bad_dataset_is_refused(
    calm_api: Api, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = calm_api.post("/datasets", {"name": "x", **fields})

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_idempotency_key_makes_one_of_two_requests(api: Api) -> None:
    file_id = upload(api).json()["id"]
    headers = {"Idempotency-Key": "k"}
    first = api.post("/datasets", {"name": "x", "file": file_id}, headers={**headers})

    again = api.post("/datasets", {"name": "x", "file": file_id}, headers={**headers})
    other = api.post("/datasets", {"name": "y", "file": file_id}, headers={**headers})

    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(api.get("/datasets").json()["data"]) == 1


def test_concurrent_requests_with_one_key_make_one_file(api: Api) -> None:
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "k"}

    async def body() -> list[Any]:
        asked = (api.send("POST", "/files", content=CSV, headers=headers) for _ in range(8))
        return await asyncio.gather(*asked)

    answers = api.run(body())

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(left_behind(api)) == 1


def test_pages_follow_each_other(api: Api) -> None:
    file_id = upload(api).json()["id"]
    made = [api.post("/datasets", {"name": f"n{i}", "file": file_id}).json() for i in range(3)]

    first = api.get("/datasets?limit=2").json()
    second = api.get(f"/datasets?limit=2&after={first['last_id']}").json()

    assert [item["id"] for item in first["data"] + second["data"]] == [
        made[2]["id"],
        made[1]["id"],
        made[0]["id"],
    ]
    assert (first["has_more"], second["has_more"]) == (True, False)
