"""Publication: what a child made becomes an artifact and a row, in that order, exactly once.

The directory is verified and put in its place first; then one transaction names it and moves the
job. An attempt that is no longer the live one changes no row, and what it put is removed.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    DeploymentSpec,
    DryRun,
    ErrorInfo,
    EvaluateSpec,
    Evaluation,
    EventType,
    FinetuneSpec,
    JobResult,
)
from tunery_server.artifacts import Artifacts
from tunery_server.db.columns import now, stamp
from tunery_server.db.engine import Database
from tunery_server.db.queries import (
    artifacts,
    checkpoints,
    datasets,
    deployments,
    evaluations,
    jobs,
    label_issues,
    models,
)
from tunery_server.ids import new_id
from tunery_server.supervisor import reuse
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    CheckpointSaved,
    Evaluated,
    Finetuned,
    Ingested,
    LabelIssuesFound,
    Rejected,
)
from tunery_trainer.protocol.metrics import LOWER_IS_BETTER, chosen_by

CANCELLED = ErrorInfo(
    code="job-error", message="the job was cancelled", hint="Register the file again."
)

Made = Ingested | Rejected | CheckpointSaved | Finetuned | Evaluated | LabelIssuesFound


class Superseded(Exception):
    """The attempt is no longer the live one: its transaction is undone."""


class Publisher:
    """Publishes datasets, checkpoints, versions, evaluations and label issues."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database = database
        self._artifacts = artifacts

    async def dataset(self, job: Row[Any], made: Ingested, work: Path) -> None:
        """Publish a dataset: it is ready when its job has succeeded."""
        key = f"datasets/{new_id('data')}"
        async with self._put(work, made, "dataset", key), self._database.write() as connection:
            moved = await jobs.move(
                connection,
                job.id,
                "succeeded",
                attempt=job.attempt,
                result=JobResult(dataset=job.dataset),
            )
            if moved:
                await datasets.settle(
                    connection,
                    job.dataset,
                    status="ready",
                    columns=made.columns,
                    splits=made.splits,
                    labels=made.labels,
                    fingerprint=made.fingerprint,
                    warnings=made.warnings,
                    artifact=key,
                    manifest_sha256=made.manifest_sha256,
                )
        await self._unless(moved, key, job)

    async def rejection(self, job: Row[Any], made: Rejected, work: Path) -> None:
        """Publish the report of a file that was not acceptable."""
        key = f"datasets/{new_id('data')}"
        async with self._put(work, made, "dataset", key), self._database.write() as connection:
            moved = await jobs.move(
                connection, job.id, "failed", attempt=job.attempt, error=made.error
            )
            if moved:
                await datasets.settle(
                    connection,
                    job.dataset,
                    status="rejected",
                    warnings=made.warnings,
                    errors=made.errors,
                    error=made.error,
                    artifact=key,
                    manifest_sha256=made.manifest_sha256,
                )
        await self._unless(moved, key, job)

    async def checkpoint(self, job: Row[Any], saved: CheckpointSaved, work: Path) -> None:
        """Publish a checkpoint, then remove those that the spec does not keep."""
        checkpoint_id = new_id("ckpt")
        key = f"checkpoints/{checkpoint_id}"
        made_at = f"checkpoints/step-{saved.step}"
        event = {"checkpoint": checkpoint_id, "step": saved.step, "best": saved.best}
        async with self._put(work, saved, made_at, key), self._database.write() as connection:
            alive = await jobs.record(
                connection, job.id, attempt=job.attempt, events=[("checkpoint", event)]
            )
            if alive:
                await checkpoints.add(
                    connection,
                    id=checkpoint_id,
                    project=job.project,
                    job=job.id,
                    step=saved.step,
                    epoch=saved.epoch,
                    metrics=saved.metrics,
                    best=saved.best,
                    bytes=saved.size_bytes,
                    artifact=key,
                    manifest_sha256=saved.manifest_sha256,
                    created_at=now(),
                )
        if alive:
            await self._prune(job)
        else:
            await self._artifacts.remove(key)

    async def version(self, job: Row[Any], made: Finetuned, work: Path, seal: str) -> None:
        """Register the next version, and start what the spec says should follow."""
        spec = msgspec.convert(job.spec, FinetuneSpec)
        key = f"versions/{new_id('ver')}"
        try:
            async with self._put(work, made, "version", key), self._database.write() as connection:
                await self._register(connection, job, spec, made, key, seal)
        except Superseded:
            await self._cancel(job)

    async def rehearsal(self, job: Row[Any], report: DryRun) -> None:
        """Keep what a dry run has shown, and nothing else of it."""
        async with self._database.write() as connection:
            moved = await jobs.move(
                connection,
                job.id,
                "succeeded",
                attempt=job.attempt,
                result=JobResult(dry_run=report),
            )
        if not moved:
            await self._cancel(job)

    async def evaluation(self, job: Row[Any], made: Evaluated, work: Path) -> None:
        """Publish the rows of an evaluation, and store its figures."""
        spec = msgspec.convert(job.spec, EvaluateSpec)
        evaluation_id = new_id("eval")
        key = f"evaluations/{evaluation_id}"
        async with self._put(work, made, "evaluation", key), self._database.write() as connection:
            uses = await evaluations.uses(connection, spec.dataset, spec.split) + 1
            worn = reuse.worn(spec.split, uses)
            evaluation = Evaluation(
                id=evaluation_id,
                version=spec.version,
                checkpoint=spec.checkpoint,
                dataset=spec.dataset,
                split=spec.split,
                rows=made.rows,
                job=job.id,
                runtime=made.runtime,
                precision=made.precision,
                metrics=made.metrics,
                per_class=made.per_class,
                confusion=made.confusion,
                test_set_uses=uses,
                created_at=stamp(now()),
                primary_metric=made.primary_metric,
                baselines=made.baselines,
                tfidf_rows=made.tfidf_rows,
                findings=made.findings + worn,
                slices=made.slices,
                fit=made.fit,
                calibration=made.calibration,
                abstention=made.abstention,
                lineage=made.lineage,
                latency=made.latency,
                bytes=made.size_bytes,
            )
            warnings: list[tuple[EventType, dict[str, Any]]] = [
                ("warning", {"code": each.type, "message": each.message}) for each in worn
            ]
            await jobs.record(connection, job.id, attempt=job.attempt, events=warnings)
            moved = await jobs.move(
                connection,
                job.id,
                "succeeded",
                attempt=job.attempt,
                result=JobResult(
                    version=spec.version, checkpoint=spec.checkpoint, evaluation=evaluation.id
                ),
            )
            if moved:
                await evaluations.add(
                    connection,
                    job.project,
                    evaluation,
                    artifact=key,
                    manifest_sha256=made.manifest_sha256,
                )
        await self._unless(moved, key, job)

    async def label_issues(self, job: Row[Any], made: LabelIssuesFound, work: Path) -> None:
        """Publish a list of rows whose label is likely wrong."""
        key = label_issues.artifact_of(job.id, job.attempt)
        async with (
            self._put(work, made, label_issues.KIND, key),
            self._database.write() as connection,
        ):
            moved = await jobs.move(
                connection,
                job.id,
                "succeeded",
                attempt=job.attempt,
                result=JobResult(dataset=job.dataset, label_issues=made.issues),
            )
        await self._unless(moved, key, job)

    async def settle_unfinished(
        self, connection: AsyncConnection, job: Row[Any], error: ErrorInfo
    ) -> None:
        """Reject the dataset of an ingest that ended without a report."""
        if job.kind == "ingest":
            await datasets.settle(connection, job.dataset, status="rejected", error=error)

    @asynccontextmanager
    async def _put(self, work: Path, made: Made, made_at: str, key: str) -> AsyncGenerator[None]:
        """Put what a child made in its place; the block names it, or it is removed again."""
        source = await asyncio.to_thread(_verified, work, made, made_at)
        try:
            await self._artifacts.put_directory(source, key)
            yield
        except Exception:
            await self._remove_unnamed(key)
            raise

    async def _remove_unnamed(self, key: str) -> None:
        # A commit that raised may have been one whose answer was lost: then a row names the key.
        async with self._database.read() as connection:
            if key in await artifacts.named(connection):
                return
        await self._artifacts.remove(key)

    async def _unless(self, moved: bool, key: str, job: Row[Any]) -> None:
        if not moved:
            await self._artifacts.remove(key)
            await self._cancel(job)

    async def _cancel(self, job: Row[Any]) -> None:
        # The child was done before it heard of the cancellation: nothing of it is published.
        async with self._database.write() as connection:
            if await jobs.move(
                connection, job.id, "cancelled", attempt=job.attempt, leaving=["cancelling"]
            ):
                await self.settle_unfinished(connection, job, CANCELLED)

    async def _register(
        self,
        connection: AsyncConnection,
        job: Row[Any],
        spec: FinetuneSpec,
        made: Finetuned,
        key: str,
        seal: str,
    ) -> None:
        dataset = await datasets.row_of(connection, job.project, spec.dataset)
        assert dataset is not None  # a dataset in use can't be deleted
        best = await self._best_checkpoint(connection, job, made.best_step)
        version = await models.register(
            connection,
            project=job.project,
            model=spec.model,
            task=dataset.task,
            labels=dataset.labels,
            base_model=spec.base_model,
            dataset=dataset.id,
            dataset_fingerprint=dataset.fingerprint,
            job=job.id,
            checkpoint=best,
            bytes=made.size_bytes,
            artifact=key,
            manifest_sha256=made.manifest_sha256,
            parity=made.parity,
            seal=seal,
            created_at=now(),
        )
        evaluate_job = None
        if spec.then.evaluate and dataset.splits.get("test", 0) > 0:
            evaluate_job = await self._queue_evaluation(
                connection, job.project, version.version, dataset.id
            )
        if spec.then.deploy is not None:
            # The user's desire, carried out when its time has come.
            step = spec.then.deploy
            target = DeploymentSpec(
                version=version.version,
                allow_label_change=step.allow_label_change,
                gate=step.gate,
            )
            await deployments.put(connection, job.project, step.name, target)
        moved = await jobs.move(
            connection,
            job.id,
            "succeeded",
            attempt=job.attempt,
            result=JobResult(version=version.version, checkpoint=best, evaluate_job=evaluate_job),
            stop_reason=made.stop_reason,
        )
        if not moved:
            raise Superseded

    async def _queue_evaluation(
        self, connection: AsyncConnection, project: str, version: str, dataset: str
    ) -> str:
        job_id = new_id("job")
        spec = EvaluateSpec(version=version, dataset=dataset)
        await jobs.add(
            connection,
            job_id=job_id,
            project=project,
            kind="evaluate",
            spec=msgspec.to_builtins(spec),
            dataset=dataset,
        )
        return job_id

    async def _best_checkpoint(
        self, connection: AsyncConnection, job: Row[Any], step: int
    ) -> str | None:
        rows = await checkpoints.rows_of_job(connection, job.project, job.id)
        return next((row.id for row in rows if row.step == step), None)

    async def _prune(self, job: Row[Any]) -> None:
        kept = msgspec.convert(job.spec, FinetuneSpec).checkpoints
        async with self._database.write() as connection:
            rows = await checkpoints.rows_of_job(connection, job.project, job.id)
            in_use = await deployments.in_use(connection) | await jobs.evaluated(connection)
            best = [row.id for row in rows if row.best] + [row.id for row in _by_metric(job, rows)]
            keep = {row.id for row in rows[: kept.keep_last]} | in_use
            keep |= set(list(dict.fromkeys(best))[: kept.keep_best])
            gone = [row for row in rows if row.id not in keep]
            await checkpoints.remove(connection, [row.id for row in gone])
        for row in gone:
            await self._artifacts.remove(row.artifact)


def _verified(work: Path, made: Made, made_at: str) -> Path:
    """Return where an artifact lies; the child that says so is confined because nobody trusts it.

    Raises:
        ArtifactCorrupt: it lies elsewhere, a link leads there, or its manifest does not verify.
    """
    source = work.resolve() / made_at
    if made.path != made_at or source.resolve() != source:
        raise manifest.ArtifactCorrupt(f"{made.path[:80]!r} is not the directory {made_at!r}")
    manifest.verify(source, made.manifest_sha256)
    return source


def _by_metric(job: Row[Any], rows: Any) -> list[Row[Any]]:
    """Return checkpoints, the best ones first; those without a figure come last."""
    spec = msgspec.convert(job.spec, FinetuneSpec)
    name = chosen_by(spec.hyperparameters.early_stopping, spec.primary_metric) or "macro_f1"
    if not any(name in row.metrics for row in rows):
        name = "loss"  # the usual one of numbers
    sign = 1 if name in LOWER_IS_BETTER else -1
    figure = "validation_loss" if name == "loss" else name

    def rank(row: Row[Any]) -> float:
        value = row.metrics.get(figure)
        return math.inf if value is None else sign * value

    return sorted(rows, key=rank)
