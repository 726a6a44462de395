"""Targets: what a name stands for, a version such as `intent/3` or the id of a checkpoint."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.queries import checkpoints, datasets, jobs, models


async def row_of(connection: AsyncConnection, project: str, target: str) -> Row[Any] | None:
    """Return the row of a version or a checkpoint; it names the artifact."""
    if "/" in target:
        return await models.row_of(connection, project, target)
    return await checkpoints.row_of(connection, project, target)


async def trained_on(connection: AsyncConnection, project: str, row: Row[Any]) -> str | None:
    """Return the dataset that a version or a checkpoint was trained on, if its job is known."""
    job = await jobs.get(connection, project, row.job)
    return None if job is None else str(job.spec["dataset"])


async def labels_of(connection: AsyncConnection, project: str, target: str) -> list[str] | None:
    """Return the labels that a version or a checkpoint knows, where that is known."""
    row = await row_of(connection, project, target)
    if row is None:
        return None
    if "/" in target:
        labels: list[str] | None = row.labels
        return labels
    dataset_id = await trained_on(connection, project, row)
    dataset = await datasets.get(connection, project, dataset_id) if dataset_id else None
    return None if dataset is None else dataset.labels
