"""Transforms: what is recorded, what is refused, what the ingest is told."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.conftest import Api

from tunery.types import Columns, Policies, Transform
from tunery_server.db.queries import datasets, jobs
from tunery_server.supervisor.specs import SpecImpossible, SpecWriter
from tunery_trainer.protocol.specs import IngestRun

CSV = b"text,label\nhello,a\nbye,b\n"
STRIP = {"transforms": [{"op": "strip_html"}]}


def upload(api: Api) -> str:
    headers = {"Content-Type": "text/csv"}
    answer = api.post("/files", content=CSV, params={"name": "a.csv"}, headers=headers)
    file_id: str = answer.json()["id"]
    return file_id


def register(api: Api, **fields: Any) -> dict[str, Any]:
    """Register a dataset of the name `bank` and return it while it is validated."""
    spec = {"name": "bank", "file": upload(api), **fields}
    answer = api.post("/datasets", spec)
    dataset: dict[str, Any] = answer.json()
    return dataset


def settle(api: Api, dataset: dict[str, Any], status: str = "ready") -> dict[str, Any]:
    """Let an ingest have ended."""

    async def body() -> None:
        async with api.services.database.write() as connection:
            await datasets.settle(
                connection,
                dataset["id"],
                status=status,
                splits={"train": 8, "validation": 1, "test": 1},
                labels=["a", "b"],
                artifact=f"datasets/{dataset['id']}",
            )

    api.run(body())
    return dataset


def ready(api: Api, **fields: Any) -> dict[str, Any]:
    return settle(api, register(api, **fields))


def transform(api: Api, dataset: dict[str, Any], body: Any = STRIP, **options: Any) -> Any:
    return api.post(f"/datasets/{dataset['id']}/versions", body, **options)


def ingest_spec(api: Api, dataset: dict[str, Any]) -> IngestRun:
    writer = SpecWriter(api.services.settings, api.services.artifacts, api.services.base_models)

    async def body() -> IngestRun:
        async with api.services.database.read() as connection:
            job = await jobs.row_of(connection, dataset["job"])
            return await writer.ingest(connection, job, Path("/work"))

    return api.run(body())


def test_transformed_dataset_is_the_next_version_of_its_name(api: Api) -> None:
    first = ready(api)
    second = ready(api)

    answer = transform(api, first, {"transforms": [{"op": "strip_html"}, {"op": "dedupe"}]})

    made = answer.json()
    assert (answer.status_code, made["status"]) == (202, "validating")
    assert answer.headers["location"] == f"/datasets/{made['id']}"
    assert (made["name"], made["version"], made["parent"]) == ("bank", 3, first["id"])
    assert made["transforms"] == [
        {"op": "strip_html", "labels": {}, "rows": []},
        {"op": "dedupe", "labels": {}, "rows": []},
    ]
    assert api.get(f"/datasets/{made['id']}").json() == made
    assert api.get(f"/datasets/{second['id']}").json()["transforms"] == []
    job = api.get(f"/jobs/{made['job']}").json()
    assert (job["kind"], job["status"]) == ("ingest", "queued")
    assert job["spec"]["dataset"] == first["id"]


def test_a_key_makes_one_version_of_two_requests(api: Api) -> None:
    first = ready(api)
    headers = {"Idempotency-Key": "k"}

    made = transform(api, first, headers={**headers})
    again = transform(api, first, headers={**headers})
    other = transform(api, first, {"transforms": [{"op": "dedupe"}]}, headers={**headers})

    assert (again.status_code, again.content) == (202, made.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(api.get("/datasets").json()["data"]) == 2


def test_what_is_not_ready_is_not_transformed(api: Api) -> None:
    validating, rejected = register(api), settle(api, register(api), "rejected")

    answers = [transform(api, each) for each in (validating, rejected)]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "dataset-not-ready")] * 2
    assert answers[1].json()["detail"] == f"{rejected['id']} is rejected"


@pytest.mark.parametrize("dataset_id", ["ds_x", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B", "bank", "%00"])
def test_unknown_dataset_is_not_found(calm_api: Api, dataset_id: str) -> None:
    answer = calm_api.post(f"/datasets/{dataset_id}/versions", STRIP)

    assert (answer.status_code, answer.json()["code"]) == (404, "dataset-not-found")


def test_dataset_of_another_project_is_not_found(api: Api) -> None:
    first = ready(api)

    answer = transform(api, first, headers=api.headers("admin", project="other"))

    assert answer.json()["code"] == "dataset-not-found"


@pytest.mark.parametrize(
    ("steps", "code", "pointer"),
    [
        ([], "out-of-range", "/transforms"),
        ([{"op": "dedupe"}] * 21, "out-of-range", "/transforms"),
        ([{"op": "shout"}], "schema-violation", "/transforms/0/op"),
        ([{}], "missing-required-field", "/transforms/0/op"),
        ([{"op": "dedupe", "lables": {}}], "unknown-field", "/transforms/0/lables"),
        ([{"op": "relabel"}], "schema-violation", "/transforms/0/labels"),
        (
            [{"op": "dedupe"}, {"op": "dedupe", "labels": {"a": "b"}}],
            "schema-violation",
            "/transforms/1/labels",
        ),
        (
            [{"op": "redact", "rows": [{"line": 2, "label": "a"}]}],
            "schema-violation",
            "/transforms/0/rows",
        ),
        ([{"op": "relabel", "labels": {"a": ""}}], "out-of-range", "/transforms/0/labels/*"),
        ([{"op": "relabel", "labels": {"a": " "}}], "schema-violation", "/transforms/0/labels"),
        ([{"op": "relabel", "labels": {"a": "b\n"}}], "schema-violation", "/transforms/0/labels"),
        (
            [{"op": "relabel", "rows": [{"line": 2, "label": "\x00"}]}],
            "schema-violation",
            "/transforms/0/rows/0/label",
        ),
        (
            [{"op": "relabel", "rows": [{"line": 0, "label": "a"}]}],
            "out-of-range",
            "/transforms/0/rows/0/line",
        ),
        (
            [{"op": "relabel", "rows": [{"line": 2, "label": "a"}, {"line": 2, "label": "b"}]}],
            "schema-violation",
            "/transforms/0/rows/1/line",
        ),
        *(
            (
                [{"op": "relabel", "rows": [{"line": 2, "label": "a", **each} for each in splits]}],
                "schema-violation",
                "/transforms/0/rows/1/line",
            )
            for splits in (({}, {"split": "train"}), ({"split": "test"}, {}))
        ),
    ],
)
def test_misshapen_transforms_are_refused(
    calm_api: Api, steps: list[Any], code: str, pointer: str
) -> None:
    answer = calm_api.post("/datasets/ds_x/versions", {"transforms": steps})

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_misspelt_field_of_a_transform_gets_its_name(calm_api: Api) -> None:
    body = {"transforms": [{"op": "relabel", "lables": {"a": "b"}}]}

    answer = calm_api.post("/datasets/ds_x/versions", body)

    assert "did you mean labels?" in answer.json()["detail"]


def test_unknown_labels_are_refused_each_with_its_place(api: Api) -> None:
    steps = [
        {"op": "relabel", "labels": {"a": "x", "A": "x"}},
        {"op": "relabel", "labels": {"x": "y", "a": "y"}},
    ]

    answer = transform(api, ready(api), {"transforms": steps})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unknown-label")
    assert [(each["pointer"], each["message"][:4]) for each in problem["errors"]] == [
        ("/transforms/0/labels", "'A' "),
        ("/transforms/1/labels", "'a' "),
    ]


def test_a_row_of_a_dataset_of_several_files_needs_its_split(api: Api) -> None:
    files = {"train": upload(api), "test": upload(api)}
    dataset = ready(api, file=None, files=files)
    row = {"line": 2, "label": "b"}

    without = transform(api, dataset, {"transforms": [{"op": "relabel", "rows": [row]}]})
    within = transform(
        api, dataset, {"transforms": [{"op": "relabel", "rows": [{**row, "split": "test"}]}]}
    )

    assert (without.status_code, without.json()["code"]) == (422, "missing-required-field")
    assert without.json()["errors"][0]["pointer"] == "/transforms/0/rows/0/split"
    assert within.status_code == 202


def test_the_ingest_is_told_the_rows_of_the_parent_and_the_transforms(api: Api) -> None:
    first = ready(api, columns={"text": "t", "label": "l"}, policies={"leakage": "warn"})
    ready(api)
    made = transform(api, first).json()

    spec = ingest_spec(api, made)

    folder = api.services.artifacts.readable("datasets") / first["id"]
    assert [(file.path, file.media_type, file.split) for file in spec.files] == [
        (str(folder / f"{split}.parquet"), "application/vnd.apache.parquet", split)
        for split in ("train", "validation", "test")
    ]
    assert spec.columns == Columns(text="text", label="label")
    assert spec.parent_dir == str(folder)
    assert spec.transforms == [Transform(op="strip_html")]
    assert spec.policies == Policies(leakage="warn")


def test_policies_that_are_given_replace_those_of_the_parent(api: Api) -> None:
    first = ready(api, policies={"leakage": "warn"})
    made = transform(api, first, {**STRIP, "policies": {"empty": "drop"}}).json()

    assert ingest_spec(api, made).policies == Policies(empty="drop")


def test_columns_that_split_a_file_are_not_looked_for_in_the_parents_rows(api: Api) -> None:
    made = transform(api, ready(api, split={"group_by": "customer", "seed": 7})).json()

    split = ingest_spec(api, made).split

    assert (split.group_by, split.seed) == (None, 7)


def test_the_ingest_of_a_file_is_told_the_newest_ready_version_before_it(api: Api) -> None:
    first = ready(api)
    settle(api, register(api), "rejected")
    register(api)
    last = register(api)

    spec, of_first = ingest_spec(api, last), ingest_spec(api, first)

    assert spec.parent_dir == str(api.services.artifacts.readable("datasets") / first["id"])
    assert (spec.transforms, [file.media_type for file in spec.files]) == ([], ["text/csv"])
    assert of_first.parent_dir is None


def test_a_version_whose_parent_is_gone_is_not_made(api: Api) -> None:
    first = ready(api)
    made = transform(api, first).json()

    async def remove() -> None:
        async with api.services.database.write() as connection:
            await datasets.remove(connection, "default", first["id"])

    api.run(remove())

    with pytest.raises(SpecImpossible, match="was deleted"):
        ingest_spec(api, made)


def test_a_parent_is_not_deleted_while_a_version_after_it_is_made(api: Api) -> None:
    first = ready(api)
    made = transform(api, first).json()

    during = api.delete(f"/datasets/{first['id']}")
    settle(api, made)
    after = api.delete(f"/datasets/{first['id']}")

    assert (during.status_code, during.json()["code"]) == (409, "dataset-in-use")
    assert after.status_code == 204


def test_a_file_is_not_in_use_by_a_version_that_is_made_of_rows(api: Api) -> None:
    file_id = upload(api)
    transform(api, ready(api, file=file_id))

    assert api.delete(f"/files/{file_id}").status_code == 204


def test_requests_at_once_make_versions_one_after_the_other(api: Api) -> None:
    first = ready(api)
    body = msgspec.json.encode(STRIP)

    async def ask() -> list[Any]:
        path, headers = f"/datasets/{first['id']}/versions", {"Content-Type": "application/json"}
        asked = (api.send("POST", path, content=body, headers=headers) for _ in range(4))
        return await asyncio.gather(*asked)

    answers = api.run(ask())

    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5]
