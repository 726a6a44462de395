"""Artifacts that a row names: all others are what a crash has left."""

from sqlalchemy.ext.asyncio import AsyncConnection

from tunery_server.db.queries import checkpoints, datasets, evaluations, label_issues, models


async def named(connection: AsyncConnection) -> set[str]:
    """Return the artifacts of all datasets, checkpoints, versions, evaluations and label issues."""
    found: set[str] = set()
    for resource in (datasets, checkpoints, models, evaluations, label_issues):
        found |= await resource.artifacts(connection)
    return found
