"""Targets: a version or a checkpoint, as evaluations and deployments name it."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.queries import checkpoints, models
from tunery_server.ids import is_id
from tunery_server.problems import Refusal, quote


def one_target(version: str | None, checkpoint: str | None) -> None:
    """Refuse a spec that names both or neither.

    Raises:
        Refusal: schema-violation.
    """
    if (version is None) == (checkpoint is None):
        message = "give exactly one of version and checkpoint"
        raise Refusal.at("schema-violation", "/version", message)


async def find_target(
    connection: AsyncConnection, project: str, version: str | None, checkpoint: str | None
) -> Row[Any]:
    """Return the row of what a spec names.

    Raises:
        Refusal: model-not-found or checkpoint-not-found.
    """
    if version is not None:
        row = await models.row_of(connection, project, version) if len(version) <= 80 else None
        if row is None:
            raise Refusal("model-not-found", f"there is no version {quote(version)}")
        return row
    named = checkpoint or ""
    row = await checkpoints.row_of(connection, project, named) if is_id(named, "ckpt") else None
    if row is None:
        raise Refusal("checkpoint-not-found", f"there is no checkpoint {quote(named)}")
    return row
