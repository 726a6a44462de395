"""Ingests in hand: jobs that are claimed and have not ended, and what their child would leave."""

from pathlib import Path
from typing import Any

from sqlalchemy import Row
from tests.server.conftest import Api

from tunery.types import ColumnsUsed
from tunery_server.db.queries import jobs
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import Ingested

CSV = b"text,label\nhello,a\nbye,b\n"


def registered(api: Api, content: bytes = CSV, media_type: str = "text/csv") -> dict[str, Any]:
    """Upload a file and register it; return the dataset."""
    headers = {"Content-Type": media_type}
    file = api.post("/files", content=content, params={"name": "a"}, headers=headers).json()
    dataset: dict[str, Any] = api.post("/datasets", {"name": "bank", "file": file["id"]}).json()
    return dataset


def claimed(api: Api) -> Row[Any]:
    """Claim the ingest that waits."""

    async def body() -> Row[Any]:
        async with api.services.database.write() as connection:
            job = await jobs.claim(connection, ["ingest"])
            assert job is not None
            return job

    return api.run(body())


def made(directory: Path, path: str = "dataset") -> Ingested:
    """Leave a dataset in a directory, and say that it lies at `path`."""
    directory.mkdir(parents=True)
    (directory / "report.json").write_text("{}")
    return Ingested(
        path=path,
        manifest_sha256=manifest.write(directory, {})[0],
        columns=ColumnsUsed(text="text", label="label", inferred=True),
        splits={"train": 1, "validation": 0, "test": 1},
        labels=["a", "b"],
        fingerprint="sha256:0",
        warnings=0,
    )
