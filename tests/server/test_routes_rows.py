"""Rows and differences of datasets, through the real reader on its socket."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.server.conftest import Api

from tunery.types import SPLITS, Split
from tunery_trainer.reader import Reader
from tunery_trainer.socket_server import serve

T = TypeVar("T")
Rows = dict[Split, list[tuple[str, str]]]


def add_dataset(api: Api, rows: Rows, status: str = "ready", **values: Any) -> str:
    """Store rows, by split, as an ingest would; each is a text and a label."""
    artifact = f"datasets/{len(list(folder_of(api).iterdir()))}"
    directory = folder_of(api) / Path(artifact).name
    directory.mkdir()
    for split in SPLITS:
        texts, labels = zip(*rows.get(split, []), strict=True) if rows.get(split) else ((), ())
        columns = {
            "line": pa.array(range(2, len(texts) + 2), pa.int64()),
            "text": pa.array(texts, pa.string()),
            "label": pa.array(labels, pa.string()),
        }
        pq.write_table(pa.table(columns), directory / f"{split}.parquet")
    return api.add_dataset(status, artifact=artifact, **values)


def folder_of(api: Api) -> Path:
    return api.services.artifacts.readable("datasets")


def with_reader(
    api: Api, asking: Coroutine[Any, Any, T], base_models: dict[str, str] | None = None
) -> T:
    async def body() -> T:
        stop, listening = asyncio.Event(), asyncio.Event()
        socket = api.services.settings.reader_socket
        serving = asyncio.create_task(
            serve(socket, Reader(base_models or {}), on_listening=listening.set, stop=stop)
        )
        await listening.wait()
        try:
            return await asking
        finally:
            stop.set()
            await serving

    return api.run(body())


def test_difference_names_what_was_added_removed_relabelled_and_moved(api: Api) -> None:
    before = add_dataset(api, {"train": [("kept", "a"), ("wrong", "a")], "test": [("old", "b")]})
    after = add_dataset(api, {"train": [("kept", "a"), ("wrong", "b")], "test": [("new", "b")]})

    answer = with_reader(api, api.send("GET", f"/datasets/{after}/diff?from={before}"))

    diff = answer.json()
    assert answer.status_code == 200, answer.text
    assert (diff["before"], diff["after"], diff["unchanged"]) == (before, after, 1)
    kinds = ("added", "removed", "relabelled", "moved")
    assert {kind: diff[kind]["rows"] for kind in kinds} == {
        "added": 1,
        "removed": 1,
        "relabelled": 1,
        "moved": 0,
    }
    assert diff["relabelled"]["examples"] == [
        {
            "text": "wrong",
            "label_before": "a",
            "label_after": "b",
            "split_before": "train",
            "split_after": "train",
            "text_pair": None,
        }
    ]
    assert diff["labels"] == [
        {"label": "a", "before": 2, "after": 1},
        {"label": "b", "before": 1, "after": 2},
    ]


def test_rows_are_read_in_file_order(api: Api) -> None:
    dataset = add_dataset(api, {"train": [("x", "a"), ("y", "b"), ("z", "a")]})

    answer = with_reader(api, api.send("GET", f"/datasets/{dataset}/rows?limit=1&after=1"))

    assert answer.json() == {
        "data": [{"line": 3, "text": "y", "label": "b", "text_pair": None}],
        "has_more": True,
        "last_id": "2",
    }


def test_difference_needs_to_know_from_what(calm_api: Api) -> None:
    answer = calm_api.get("/datasets/ds_x/diff")

    assert (answer.status_code, answer.json()["code"]) == (422, "missing-required-field")
    assert answer.json()["errors"][0]["pointer"] == "/query/from"


@pytest.mark.parametrize(
    ("unready", "status", "code"),
    [
        ("validating", 409, "dataset-not-ready"),
        ("rejected", 409, "dataset-not-ready"),
        ("unknown", 404, "dataset-not-found"),
    ],
)
def test_both_datasets_must_be_ready(api: Api, unready: str, status: int, code: str) -> None:
    ready = api.add_dataset()
    other = "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B" if unready == "unknown" else api.add_dataset(unready)

    earlier = api.get(f"/datasets/{ready}/diff?from={other}")
    later = api.get(f"/datasets/{other}/diff?from={ready}")

    assert (earlier.status_code, earlier.json()["code"]) == (status, code)
    assert (later.status_code, later.json()["code"]) == (status, code)


def test_other_projects_datasets_are_not_compared(api: Api) -> None:
    first, second = api.add_dataset(), api.add_dataset()
    stranger = api.headers("admin", project="other")

    answer = api.get(f"/datasets/{first}/diff?from={second}", headers=stranger)

    assert (answer.status_code, answer.json()["code"]) == (404, "dataset-not-found")


def test_difference_without_a_reader_is_503(api: Api) -> None:
    dataset = api.add_dataset(artifact="datasets/x")

    answer = api.get(f"/datasets/{dataset}/diff?from={dataset}")

    assert (answer.status_code, answer.json()["code"]) == (503, "engine-restarted")
