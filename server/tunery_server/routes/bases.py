"""Bases: what a fine-tune begins with, a base model of the allowlist or a version of the project.

A name is looked up in the allowlist first. A user's text becomes no path: a version's directory is
where its row says that it lies.
"""

from pathlib import Path
from typing import NamedTuple

from tunery_server.base_models import positions_of
from tunery_server.db.queries import models
from tunery_server.pagination import is_slug
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_trainer.protocol.minilm import is_complete


class Base(NamedTuple):
    """What the name of a base model stands for."""

    directory: Path | None  # null where the trainer makes it
    positions: int | None  # tokens that it takes, where its config says so
    lineage: list[str]  # itself, what it was made from, and so on to a base model
    is_version: bool

    @property
    def version_dir(self) -> str | None:
        """The directory of a version; null of a base model."""
        return str(self.directory) if self.is_version else None


async def find_base(request: Request, name: str, *, pointer: str) -> Base:
    """Return what a name stands for in the caller's project.

    Raises:
        Refusal: unknown-base-model, it is neither listed nor a version, or its files are not here.
    """
    listed = request.services.base_models
    if listed.knows(name):
        found = listed.directories().get(name)
        directory = None if found is None else Path(found)
        return Base(directory, listed.max_positions(name), [name], is_version=False)
    if is_slug(name.rpartition("/")[0]):
        async with request.services.database.read() as connection:
            row = await models.row_of(connection, request.project, name)
            lineage = [] if row is None else await models.lineage(connection, row)
        if row is not None:
            directory = await request.services.artifacts.fetch(row.artifact)
            if is_complete(directory):
                return Base(directory, positions_of(directory), lineage, is_version=True)
    allowed = ", ".join(listed.ids())
    message = f"{quote(name)} is neither one of {allowed} nor a version of this project"[:300]
    raise Refusal.at("unknown-base-model", pointer, message)
