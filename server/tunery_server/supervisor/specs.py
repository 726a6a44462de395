"""Specs: what a claimed job's row becomes for its child, every id resolved to a path."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    PARQUET,
    SPLITS,
    Columns,
    DatasetSpec,
    EvaluateSpec,
    FinetuneSpec,
    Job,
    LabelIssuesSpec,
    Split,
)
from tunery_server.artifacts import Artifacts
from tunery_server.base_models import BaseModels, BaseModelUnusable
from tunery_server.db.queries import (
    checkpoints,
    datasets,
    deployments,
    files,
    jobs,
    models,
    targets,
)
from tunery_server.settings import Settings
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.minilm import MINILM
from tunery_trainer.protocol.recipes import SCRATCH_BASE
from tunery_trainer.protocol.specs import (
    EvaluateRun,
    FinetuneRun,
    IngestRun,
    LabelIssuesRun,
    SourceFile,
)

SEEN = ("train", "validation")  # splits that a fine-tune learns from or chooses by


class SpecImpossible(Exception):
    """What the job needs is gone or unusable; trying again would not help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SpecWriter:
    """Turns rows into specs."""

    def __init__(self, settings: Settings, artifacts: Artifacts, base_models: BaseModels) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self._base_models = base_models

    async def ingest(self, connection: AsyncConnection, job: Row[Any], work: Path) -> IngestRun:
        """Return the spec of an ingest: of uploaded files, or of the rows of a parent."""
        dataset = await datasets.row_of(connection, job.project, job.dataset)
        if dataset is None:
            raise SpecImpossible("dataset-not-found", f"{job.dataset} was deleted")
        spec: DatasetSpec = dataset.spec
        columns, split = spec.columns, spec.split
        parent_dir = await self._parent_dir(connection, dataset)
        if dataset.transforms is None:
            sources = await self._uploads(connection, job.project, spec)
        elif parent_dir is None:
            raise SpecImpossible("dataset-not-found", f"{dataset.parent} was deleted")
        else:
            sources = [
                SourceFile(path=str(parent_dir / f"{part}.parquet"), media_type=PARQUET, split=part)
                for part in SPLITS
            ]
            columns = Columns(text="text", label="label")  # and text_pair, where it is there
            split = replace(split, group_by=None, time_column=None, column=None)
        tokenizer = await asyncio.to_thread(self._tokenizer)
        return IngestRun(
            work_dir=str(work),
            job=job.id,
            dataset=dataset.id,
            task=spec.task,
            files=sources,
            columns=columns,
            split=split,
            policies=spec.policies,
            memory_bytes=self._settings.ingest_memory_bytes,
            base_model=None if tokenizer is None else MINILM,
            tokenizer=tokenizer,
            max_positions=self._base_models.max_positions(MINILM) or 512,
            transforms=dataset.transforms or [],
            parent_dir=None if parent_dir is None else str(parent_dir),
        )

    def _tokenizer(self) -> str | None:
        """Return the path of the tokenizer that measures texts, where it is installed."""
        try:
            path = self._base_models.directory(MINILM) / "tokenizer.json"
        except BaseModelUnusable:
            return None
        return str(path) if path.is_file() else None

    async def _uploads(
        self, connection: AsyncConnection, project: str, spec: DatasetSpec
    ) -> list[SourceFile]:
        named: list[tuple[Split | None, str | None]] = [(None, spec.file)]
        if spec.files is not None:
            named = [(split, getattr(spec.files, split)) for split in SPLITS]
        sources: list[SourceFile] = []
        for split, file_id in named:
            if file_id is None:
                continue
            file = await files.get(connection, project, file_id)
            if file is None:
                raise SpecImpossible("not-found", f"{file_id} was deleted")
            path = await self._artifacts.fetch(files.artifact(file.sha256))
            sources.append(SourceFile(path=str(path), media_type=file.media_type, split=split))
        return sources

    async def _parent_dir(self, connection: AsyncConnection, dataset: Row[Any]) -> Path | None:
        """Return where the rows lie that keep their split: of the newest version, or the parent."""
        if dataset.transforms is None:
            parent = await datasets.newest_ready(
                connection, dataset.project, dataset.name_folded, below=dataset.version
            )
        else:
            parent = await datasets.row_of(connection, dataset.project, dataset.parent)
        return None if parent is None else await self._artifacts.fetch(parent.artifact)

    async def finetune(
        self,
        connection: AsyncConnection,
        job: Row[Any],
        work: Path,
        *,
        device: str,
        threads: int,
        resume_from: Path | None,
    ) -> FinetuneRun:
        """Return the spec of a fine-tune; it names train and validation, never the test split."""
        spec = msgspec.convert(job.spec, FinetuneSpec)
        dataset = await datasets.row_of(connection, job.project, spec.dataset)
        if dataset is None or dataset.status != "ready":
            raise SpecImpossible("dataset-not-ready", f"{spec.dataset} is not ready")
        folder = await self._artifacts.fetch(dataset.artifact)
        cache = self._settings.cache_dir / dataset.id
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        base_model_dir, parent_sha256 = cache, None
        if spec.base_model != SCRATCH_BASE:
            base_model_dir, parent_sha256 = await self._base(
                connection, job.project, spec.base_model
            )
        return FinetuneRun(
            work_dir=str(work),
            job=job.id,
            attempt=job.attempt,
            task=dataset.task,
            base_model=spec.base_model,
            base_model_dir=str(base_model_dir),
            parent_sha256=parent_sha256,
            train=str(folder / "train.parquet"),
            validation=str(folder / "validation.parquet"),
            validation_carved=datasets.carves_validation(dataset.spec),
            labels=dataset.labels,
            dataset_fingerprint=dataset.fingerprint,
            recipe=spec.recipe,
            primary_metric=spec.primary_metric,
            hyperparameters=spec.hyperparameters,
            checkpoints=spec.checkpoints,
            abstain=spec.abstain,
            device="cuda:0" if device.startswith("cuda") else device,
            threads=threads,
            cache_dir=str(cache),
            dry_run=spec.dry_run,
            resume_from=None if resume_from is None else str(resume_from),
            resolved=job.resolved or None,
        )

    async def _base(
        self, connection: AsyncConnection, project: str, name: str
    ) -> tuple[Path, str | None]:
        """Return the directory of a base model or a version, and the latter's verified manifest."""
        try:
            return await asyncio.to_thread(self._base_models.directory, name), None
        except BaseModelUnusable as error:
            version = await models.row_of(connection, project, name)
            if version is None:
                raise SpecImpossible("unknown-base-model", str(error)) from error
        directory = await self._artifacts.fetch(version.artifact)
        try:
            await asyncio.to_thread(manifest.verify, directory, version.manifest_sha256)
        except (manifest.ArtifactCorrupt, OSError) as error:
            raise SpecImpossible("checkpoint-corrupt", f"{name} is damaged: {error}") from error
        return directory, version.manifest_sha256

    async def evaluate(
        self, connection: AsyncConnection, job: Row[Any], work: Path, *, threads: int
    ) -> EvaluateRun:
        """Return the spec of an evaluation: the runtime that serves, on the rows of one split."""
        spec = msgspec.convert(job.spec, EvaluateSpec)
        dataset = await datasets.row_of(connection, job.project, spec.dataset)
        if dataset is None or dataset.status != "ready":
            raise SpecImpossible("dataset-not-ready", f"{spec.dataset} is not ready")
        model = await targets.row_of(connection, job.project, deployments.target_of(spec))
        if model is None:
            raise SpecImpossible("model-not-found", "the model was deleted")
        folder = await self._artifacts.fetch(dataset.artifact)
        trained = await jobs.get(connection, job.project, model.job)
        lineage, lost = await self._lineage(connection, job.project, trained)
        own = lineage.get(str(trained.spec["dataset"])) if trained is not None else None
        return EvaluateRun(
            work_dir=str(work),
            job=job.id,
            model_dir=str(await self._artifacts.fetch(model.artifact)),
            manifest_sha256=model.manifest_sha256,
            rows=str(folder / f"{spec.split}.parquet"),
            runtime=spec.runtime,
            precision=spec.precision,
            device="cpu",
            threads=threads,
            train=own[0] if own else None,
            validation=own[1] if own and not _learned_validation(trained) else None,
            primary_metric=spec.primary_metric,
            untrained=await _untrained(connection, model.job),
            report=str(folder / "report.json"),
            lineage=lineage,
            lost=lost,
        )

    async def label_issues(
        self, connection: AsyncConnection, job: Row[Any], work: Path, *, threads: int
    ) -> LabelIssuesRun:
        """Return the spec of a search for label issues: rows of a dataset, and a base model."""
        asked = {name: value for name, value in job.spec.items() if name != "dataset"}
        spec = msgspec.convert(asked, LabelIssuesSpec)
        dataset = await datasets.row_of(connection, job.project, job.dataset)
        if dataset is None or dataset.status != "ready":
            raise SpecImpossible("dataset-not-ready", f"{job.dataset} is not ready")
        folder = await self._artifacts.fetch(dataset.artifact)
        base_model_dir = None
        if spec.base_model != SCRATCH_BASE:
            base_model_dir, _ = await self._base(connection, job.project, spec.base_model)
        return LabelIssuesRun(
            work_dir=str(work),
            job=job.id,
            base_model=spec.base_model,
            base_model_dir=None if base_model_dir is None else str(base_model_dir),
            rows={
                split: str(folder / f"{split}.parquet")
                for split in SPLITS
                if split in (spec.splits or SPLITS)
            },
            labels=dataset.labels,
            folds=spec.folds,
            seed=spec.seed,
            threads=threads,
        )

    async def _lineage(
        self, connection: AsyncConnection, project: str, trained: Job | None
    ) -> tuple[dict[str, list[str]], list[str]]:
        """Return the rows that a model's weights have seen, by dataset, and deleted datasets.

        A fine-tune may start from a version, which has rows of its own.
        """
        found: dict[str, list[str]] = {}
        lost: list[str] = []
        while trained is not None:
            dataset_id = str(trained.spec["dataset"])
            dataset = await datasets.row_of(connection, project, dataset_id)
            if dataset is None:
                lost.append(dataset_id)
            else:
                folder = await self._artifacts.fetch(dataset.artifact)
                found[dataset_id] = [str(folder / f"{name}.parquet") for name in SEEN]
            parent = await models.row_of(connection, project, str(trained.spec.get("base_model")))
            trained = None if parent is None else await jobs.get(connection, project, parent.job)
        return found, list(dict.fromkeys(lost))

    async def last_whole_checkpoint(
        self, connection: AsyncConnection, job: Row[Any]
    ) -> tuple[Path | None, list[str]]:
        """Return the newest checkpoint that its manifest proves, and the ids of damaged ones."""
        damaged: list[str] = []
        for row in await checkpoints.rows_of_job(connection, job.project, job.id):
            try:
                path = await self._artifacts.fetch(row.artifact)
                await asyncio.to_thread(manifest.verify, path, row.manifest_sha256)
            except (manifest.ArtifactCorrupt, OSError):
                damaged.append(row.id)
            else:
                return path, damaged
        return None, damaged


def _learned_validation(trained: Job | None) -> bool:
    """Return whether a fine-tune's weights were fitted to its validation rows, too."""
    if trained is None:
        return False
    names = ("train_on_validation", "refit")
    return any(name in trained.resolved and trained.resolved[name].value for name in names)


async def _untrained(connection: AsyncConnection, job_id: str) -> dict[str, float]:
    """Return what a fine-tune has measured of its base model, by metric."""
    first = next(iter(await jobs.metrics(connection, job_id)), None)
    if first is None or first.step != 0:
        return {}
    return {name: value for name, value in first.values.items() if isinstance(value, float)}
