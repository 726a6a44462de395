"""Loads: from a deployment's spec to engines that serve it, where there is room for them."""

import asyncio
import logging
from functools import partial

from tunery.types import DeploymentSpec, Parity
from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments, targets
from tunery_server.disk import weights_bytes
from tunery_server.supervisor.engines import Engine, EngineStarter, LoadFailed, Target
from tunery_server.supervisor.room import Room, Tenant

logger = logging.getLogger(__name__)

_SHOWN_LABELS, _SHOWN_CHARACTERS = 5, 80  # in a message


class Loader:
    """Loads versions and checkpoints into new engines."""

    def __init__(
        self, database: Database, artifacts: Artifacts, starter: EngineStarter, room: Room
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._starter = starter
        self._room = room

    async def load(
        self,
        tenant: Tenant,
        spec: DeploymentSpec,
        *,
        niced: bool,
        replicas: int | None = None,
        unload: bool = True,
        labels: frozenset[str] | None = None,
    ) -> tuple[list[Engine], Parity | None]:
        """Start all engines of a spec, or so many; return them with what their answers differ by.

        `labels` are those that it must have; `niced` as of EngineStarter.start.

        Raises:
            LoadFailed: a version does not serve, or finds no room; nothing of it is left.
        """
        target, parity = await self._target(tenant.owner.partition("/")[0], spec)
        count = replicas or replicas_of(spec)
        needed = count * self._starter.forecast_bytes(target)
        engines: list[Engine] = []
        try:
            async with self._room.promised(tenant, needed, unload=unload):
                engines = await self._start(tenant, target, count, niced=niced)
            _require_labels(engines[0], labels)
        except BaseException:
            await asyncio.gather(*(self._starter.end(engine) for engine in engines))
            raise
        loaded = engines[0].loaded
        return engines, (loaded.parity if loaded else None) or parity

    async def labels_of(self, owner: str, spec: DeploymentSpec) -> frozenset[str] | None:
        """Return the labels of what a spec serves, or None where they are not known any more."""
        project, target = owner.partition("/")[0], deployments.target_of(spec)
        async with self._database.read() as connection:
            labels = await targets.labels_of(connection, project, target)
        return None if labels is None else frozenset(labels)

    async def _start(
        self, tenant: Tenant, target: Target, count: int, *, niced: bool
    ) -> list[Engine]:
        start = partial(self._starter.start, tenant.owner, target, tenant.engines, niced=niced)
        starts = [asyncio.create_task(start()) for _ in range(count)]
        try:
            return list(await asyncio.gather(*starts))
        except BaseException:
            for task in starts:
                task.cancel()
            for result in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(result, Engine):
                    await self._starter.end(result)
            raise

    async def _target(self, project: str, spec: DeploymentSpec) -> tuple[Target, Parity | None]:
        async with self._database.read() as connection:
            row = await targets.row_of(connection, project, deployments.target_of(spec))
        if row is None:
            raise LoadFailed("model-not-found", "the version was deleted")
        try:
            model_dir = await self._artifacts.fetch(row.artifact)
        except OSError as error:
            logger.exception("%s can't be fetched", row.artifact)
            raise LoadFailed("load-failed", "its files can't be read; see the log") from error
        target = Target(
            version=deployments.target_of(spec),
            model_dir=str(model_dir),
            manifest_sha256=row.manifest_sha256,
            runtime=spec.runtime,
            precision=spec.precision,
            weights_bytes=weights_bytes(model_dir),
        )
        return target, getattr(row, "parity", None)


def _require_labels(engine: Engine, labels: frozenset[str] | None) -> None:
    found = frozenset(engine.labels)
    if labels is None or found == labels:
        return
    gone, new = _named(labels - found), _named(found - labels)
    raise LoadFailed("label-set-changed", f"gone: {gone}; new: {new}")


def _named(labels: frozenset[str]) -> str:
    shown = ", ".join(repr(label)[:_SHOWN_CHARACTERS] for label in sorted(labels)[:_SHOWN_LABELS])
    return shown + ", …" * (len(labels) > _SHOWN_LABELS) or "none"


def replicas_of(spec: DeploymentSpec) -> int:
    """Return how many engines a spec asks for."""
    return 1 if spec.replicas == "auto" else spec.replicas
