"""The API in memory: the real application, a real SQLite database, no socket."""

import asyncio
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.client.answers import EVALUATION

from tunery.types import DatasetSpec, DeploymentSpec, Evaluation
from tunery_server.app import create_app
from tunery_server.base_models import BaseModels
from tunery_server.db.columns import now
from tunery_server.db.engine import Database
from tunery_server.db.migrate import upgrade
from tunery_server.db.queries import checkpoints, datasets, deployments, evaluations, jobs, models
from tunery_server.db.queries import keys as key_queries
from tunery_server.ids import new_id
from tunery_server.keys import new_key, sha256
from tunery_server.services import Services
from tunery_server.settings import Settings
from tunery_trainer.evaluate import stored_rows
from tunery_trainer.protocol.events import EVALUATED_ROWS
from tunery_trainer.tasks import Judged

T = TypeVar("T")


class Api:
    """A client of the application, and the rows that a test needs beneath it."""

    def __init__(self, runner: asyncio.Runner, services: Services) -> None:
        self._runner = runner
        self.services = services
        self.app = create_app(services)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1:8000"
        )
        self.key = self.add_key("admin")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def request(
        self, method: str, path: str, *, anonymous: bool = False, **options: Any
    ) -> httpx.Response:
        return self.run(self.send(method, path, anonymous=anonymous, **options))

    async def send(
        self, method: str, path: str, *, anonymous: bool = False, **options: Any
    ) -> httpx.Response:
        headers = httpx.Headers(options.pop("headers", {}))
        if not anonymous:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        return await self.client.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        if json is not None:
            options["content"] = json if isinstance(json, bytes) else msgspec.json.encode(json)
            options.setdefault("headers", {}).setdefault("Content-Type", "application/json")
        return self.request("POST", path, **options)

    def put(self, path: str, json: Any, **options: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.request("PUT", path, content=msgspec.json.encode(json), headers=headers)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def add_key(self, scope: str, project: str = "default", **values: Any) -> str:
        key_id, secret = new_key()

        async def body() -> None:
            async with self.services.database.write() as connection:
                await key_queries.add(
                    connection,
                    id=key_id,
                    project=project,
                    name=scope,
                    scope=scope,
                    sha256=sha256(secret.encode()),
                    created_at=now(),
                    **values,
                )

        self.run(body())
        self.services.keys.forget()
        return secret

    def headers(self, scope: str, project: str = "default") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.add_key(scope, project)}"}

    def add_dataset(self, status: str = "ready", train: int = 10, **values: Any) -> str:
        dataset_id = new_id("ds")

        async def body() -> None:
            async with self.services.database.write() as connection:
                await datasets.add(
                    connection,
                    id=dataset_id,
                    project="default",
                    name=dataset_id,
                    name_folded=dataset_id,
                    version=1,
                    task="text_classification",
                    spec=DatasetSpec(name="x", file="f"),
                    job=new_id("job"),
                    created_at=now(),
                )
                if status != "validating":
                    splits = {"train": train, "validation": 2, "test": 2}
                    found = {"splits": splits, "labels": ["a", "b"]} | values
                    await datasets.settle(connection, dataset_id, status=status, **found)

        self.run(body())
        return dataset_id

    def add_evaluation(self, rows: pa.Table, judged: Judged, /, **fields: Any) -> str:
        """Store an evaluation with its rows, whose logits are none that count."""
        evaluation_id = new_id("eval")
        artifact = f"evaluations/{evaluation_id}"
        folder = self.services.artifacts.readable("evaluations") / evaluation_id
        folder.mkdir()
        logits = np.zeros((rows.num_rows, 2), np.float32)
        stored_rows.write(folder / EVALUATED_ROWS, rows, judged, logits, {})
        known = {**EVALUATION, "id": evaluation_id, "job": new_id("job"), **fields}
        evaluation = msgspec.convert(known, Evaluation)

        async def body() -> None:
            async with self.services.database.write() as connection:
                await evaluations.add(
                    connection, "default", evaluation, artifact=artifact, manifest_sha256="0" * 64
                )

        self.run(body())
        return evaluation_id

    def add_job(
        self, kind: str = "finetune", status: str = "queued", spec: dict[str, Any] | None = None
    ) -> str:
        job_id = new_id("job")

        async def body() -> None:
            async with self.services.database.write() as connection:
                await jobs.add(
                    connection,
                    job_id=job_id,
                    project="default",
                    kind=kind,
                    spec=spec or {},
                    dataset=None,
                )
            if status == "queued":
                return
            async with self.services.database.write() as connection:
                row = await jobs.claim(connection, [kind])
                assert row is not None
                steps = {"paused": ["pausing", "paused"]}.get(status, [status])
                for step in steps if status != "running" else []:
                    assert await jobs.move(connection, row.id, step, attempt=row.attempt)  # type: ignore[arg-type]

        self.run(body())
        return job_id

    def add_version(self, model: str = "intent", **values: Any) -> str:
        row = {
            "project": "default",
            "model": model,
            "task": "text_classification",
            "labels": ["a", "b"],
            "base_model": "tiny",
            "dataset": new_id("ds"),
            "dataset_fingerprint": "sha256:0",
            "job": new_id("job"),
            "bytes": 1,
            "artifact": f"versions/{new_id('v')}",
            "manifest_sha256": "0" * 64,
            "seal": "none",
            "created_at": now(),
        }

        async def body() -> str:
            async with self.services.database.write() as connection:
                return (await models.register(connection, **(row | values))).version

        return self.run(body())

    def add_checkpoint(self, job_id: str, step: int = 1, manifest_sha256: str = "0" * 64) -> str:
        checkpoint_id = new_id("ckpt")

        async def body() -> None:
            async with self.services.database.write() as connection:
                await checkpoints.add(
                    connection,
                    id=checkpoint_id,
                    project="default",
                    job=job_id,
                    step=step,
                    epoch=0.5,
                    metrics={"macro_f1": 0.5},
                    best=True,
                    bytes=1,
                    artifact=f"checkpoints/{checkpoint_id}",
                    manifest_sha256=manifest_sha256,
                    created_at=now(),
                )

        self.run(body())
        return checkpoint_id

    def add_deployment(
        self, name: str, status: str, sockets: tuple[str, ...] = (), version: str = "intent/1"
    ) -> None:
        async def body() -> None:
            async with self.services.database.write() as connection:
                spec = None if status == "stopped" else DeploymentSpec(version=version)
                generation = await deployments.put(connection, "default", name, spec)
                await deployments.write_actual(
                    connection,
                    "default",
                    name,
                    status=status,
                    actual_spec=spec,
                    actual_generation=generation,
                )
                await deployments.replace_routes(
                    connection, "default", name, version=version, sockets=sockets
                )

        self.run(body())


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "tunery.db"

    async def body() -> None:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await upgrade(database)
        await database.close()

    asyncio.run(body())
    return path


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    return _settings(tmp_path, migrated)


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    with _serving(settings) as api:
        yield api


@pytest.fixture(scope="session")
def calm_api(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Api]:
    """One service for all tests that leave nothing behind: it takes 0.2 s to make."""
    with _serving(_settings(tmp_path_factory.mktemp("calm"), migrated)) as api:
        yield api


def _settings(folder: Path, migrated: Path) -> Settings:
    model = folder / "tiny"
    model.mkdir()
    (model / "config.json").write_text('{"max_position_embeddings": 128}')
    for name in ("model.safetensors", "tokenizer.json"):
        (model / name).touch()
    settings = Settings(
        data_dir=str(folder / "data"),
        base_models={"tiny": str(model)},
        max_json_bytes=200_000,
        max_upload_bytes=100_000,
        max_predict_bytes=300_000,
    )
    settings.run_dir.mkdir(parents=True)
    shutil.copy(migrated, settings.root / "tunery.db")
    return settings


@contextmanager
def _serving(settings: Settings) -> Iterator[Api]:
    with asyncio.Runner() as runner:
        services = Services(settings, BaseModels(settings.base_models, settings.hub_cache))
        runner.run(services.artifacts.prepare())
        runner.run(services.open())
        try:
            api = Api(runner, services)
            yield api
            runner.run(api.client.aclose())
        finally:
            runner.run(services.close())
