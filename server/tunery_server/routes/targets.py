"""Targets: a version or a checkpoint, as evaluations and deployments name it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import FieldError
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
        error = FieldError(code="schema-violation", message=message, pointer="/version")
        raise Refusal("schema-violation", message, errors=[error])


async def find_target(
    connection: AsyncConnection, project: str, version: str | None, checkpoint: str | None
) -> None:
    """Refuse a spec that names what is not there.

    Raises:
        Refusal: model-not-found or checkpoint-not-found.
    """
    if version is not None:
        if len(version) > 80 or await models.row_of(connection, project, version) is None:
            raise Refusal("model-not-found", f"there is no version {quote(version)}")
        return
    named = checkpoint or ""
    if not is_id(named, "ckpt") or await checkpoints.row_of(connection, project, named) is None:
        raise Refusal("checkpoint-not-found", f"there is no checkpoint {quote(named)}")
