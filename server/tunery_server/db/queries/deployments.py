"""Deployments: the desired state, the actual one, the routes to its engines, the history."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    Actual,
    Deployment,
    DeploymentEvent,
    DeploymentSpec,
    Desired,
    EvaluateSpec,
    Occupant,
    Page,
)
from tunery_server.db.columns import now, stamp
from tunery_server.db.queries.pages import page_of
from tunery_server.db.tables import deployment_events, deployments, routes
from tunery_server.ids import new_id


class Route(msgspec.Struct, kw_only=True, frozen=True):
    """One engine process that answers for a deployment."""

    name: str
    socket: str
    version: str


def target_of(spec: DeploymentSpec | EvaluateSpec) -> str:
    """Return how answers name what a spec is about: a version, or a checkpoint id."""
    return spec.version or spec.checkpoint or ""


async def put(
    connection: AsyncConnection, project: str, name: str, desired: DeploymentSpec | None
) -> int:
    """Write what a deployment should serve, null for nothing; return the new generation."""
    # One statement, so that two first PUTs of a name can't both find it missing.
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(deployments).values(
        project=project,
        name=name,
        desired=desired,
        generation=1,
        actual_generation=0,
        status="loading",
        updated_at=now(),
    )
    raised = statement.on_conflict_do_update(
        index_elements=[deployments.c.project, deployments.c.name],
        set_={
            "desired": statement.excluded.desired,
            "generation": deployments.c.generation + 1,
            "updated_at": statement.excluded.updated_at,
        },
    )
    found = await connection.execute(raised.returning(deployments.c.generation))
    generation: int = found.scalar_one()
    return generation


async def get(connection: AsyncConnection, project: str, name: str) -> Deployment | None:
    """Return a deployment with its history."""
    statement = select(deployments).where(
        deployments.c.project == project, deployments.c.name == name
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _struct(row, await _history(connection, project, name))


async def list_page(
    connection: AsyncConnection, project: str, *, limit: int, after: str | None
) -> Page[Deployment]:
    """Return a page of deployments; the history is left to each one's own page."""
    statement = select(deployments).where(deployments.c.project == project)
    return await page_of(
        connection,
        statement,
        deployments.c.name,
        lambda row: _struct(row, []),
        limit=limit,
        after=after,
    )


async def last_other(
    connection: AsyncConnection, project: str, name: str, current: str
) -> DeploymentSpec | None:
    """Return the last spec that was ready here and named another version."""
    statement = (
        select(deployment_events.c.spec)
        .where(
            deployment_events.c.project == project,
            deployment_events.c.name == name,
            deployment_events.c.outcome == "ready",
            deployment_events.c.version != current,
        )
        .order_by(deployment_events.c.generation.desc())
        .limit(1)
    )
    return (await connection.execute(statement)).scalar_one_or_none()


async def served(connection: AsyncConnection, project: str, name: str) -> str | None:
    """Return the version or checkpoint that serves under a name now, or would after a restart."""
    statement = select(deployments.c.actual_spec).where(
        deployments.c.project == project, deployments.c.name == name
    )
    spec = (await connection.execute(statement)).scalar_one_or_none()
    return None if spec is None else target_of(spec)


async def in_use(connection: AsyncConnection) -> set[str]:
    """Return every version and checkpoint id that is served or should be, of every project."""
    statement = select(deployments.c.desired, deployments.c.actual_spec)
    rows = (await connection.execute(statement)).all()
    return {target_of(spec) for row in rows for spec in row if spec is not None}


async def all_rows(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """Return all deployments of all projects: for the supervisor."""
    return (await connection.execute(select(deployments))).all()


async def rows_of(connection: AsyncConnection, project: str) -> Sequence[Row[Any]]:
    """Return the deployments of a project."""
    statement = select(deployments).where(deployments.c.project == project)
    return (await connection.execute(statement.order_by(deployments.c.name))).all()


async def write_actual(connection: AsyncConnection, project: str, name: str, **values: Any) -> None:
    """Write what a deployment is."""
    await connection.execute(
        update(deployments)
        .where(deployments.c.project == project, deployments.c.name == name)
        .values(updated_at=now(), **values)
    )


async def write_measured(
    connection: AsyncConnection, project: str, name: str, actual: Actual
) -> None:
    """Write what a deployment holds by now, if that still serves; it has not changed by that."""
    await connection.execute(
        update(deployments)
        .where(
            deployments.c.project == project,
            deployments.c.name == name,
            deployments.c.actual_generation == actual.generation,
            deployments.c.status.in_(("ready", "degraded")),
        )
        .values(actual=actual)
    )


async def append_history(
    connection: AsyncConnection,
    project: str,
    name: str,
    *,
    generation: int,
    spec: DeploymentSpec,
    outcome: str,
) -> None:
    """Append how a PUT ended."""
    await connection.execute(
        insert(deployment_events).values(
            id=new_id("dev"),
            project=project,
            name=name,
            at=now(),
            generation=generation,
            version=target_of(spec),
            spec=spec,
            outcome=outcome,
        )
    )


async def replace_routes(
    connection: AsyncConnection,
    project: str,
    name: str,
    *,
    version: str,
    sockets: Sequence[str],
) -> None:
    """Let a deployment be answered by these engines, all of one version, and by no other."""
    await connection.execute(
        delete(routes).where(routes.c.project == project, routes.c.name == name)
    )
    if sockets:
        await connection.execute(
            insert(routes),
            [
                {
                    "project": project,
                    "name": name,
                    "socket": socket,
                    "version": version,
                }
                for socket in sockets
            ],
        )


async def clear_routes(connection: AsyncConnection) -> None:
    """Forget the engines of an earlier life."""
    await connection.execute(delete(routes))


async def routes_to(connection: AsyncConnection, project: str, model: str) -> list[Route]:
    """Return the engines that answer for a deployment's name, or for a version that is deployed.

    They are of one deployment: another may serve that version in another precision.
    """
    statement = select(routes).where(
        routes.c.project == project, or_(routes.c.name == model, routes.c.version == model)
    )
    rows = (await connection.execute(statement)).all()
    names = {row.name for row in rows}
    name = model if model in names else min(names, default="")
    return [
        Route(name=name, socket=row.socket, version=row.version) for row in rows if row.name == name
    ]


async def name_of(connection: AsyncConnection, project: str, model: str) -> str | None:
    """Return the deployment of a name, or one that serves this version when it is awake."""
    columns = deployments.c.name, deployments.c.status, deployments.c.actual_spec
    statement = select(*columns).where(deployments.c.project == project)
    rows = (await connection.execute(statement)).all()
    if any(row.name == model for row in rows):
        return model
    serving = [row for row in rows if row.actual_spec and target_of(row.actual_spec) == model]
    serving.sort(key=lambda row: (row.status == "failed", row.name))
    return serving[0].name if serving else None


async def occupants(connection: AsyncConnection, project: str) -> tuple[list[Occupant], int]:
    """Return which of a project's deployments hold memory, and what those of all projects hold."""
    statement = select(
        deployments.c.project, deployments.c.name, deployments.c.actual, deployments.c.actual_spec
    )
    rows = [row for row in await connection.execute(statement) if row.actual is not None]
    own = [
        Occupant(
            name=row.name,
            version=row.actual.version,
            replicas=row.actual.replicas,
            memory_bytes=row.actual.memory_bytes,
            pinned=row.actual_spec is not None and row.actual_spec.pinned,
        )
        for row in rows
        if row.project == project and row.actual.replicas
    ]
    own.sort(key=lambda each: -each.memory_bytes)
    return own, sum(row.actual.memory_bytes for row in rows)


async def statuses(connection: AsyncConnection) -> dict[str, str]:
    """Return the status of every deployment of every project, by project and name."""
    statement = select(deployments.c.project, deployments.c.name, deployments.c.status)
    return {f"{row.project}/{row.name}": row.status for row in await connection.execute(statement)}


async def count(connection: AsyncConnection) -> int:
    """Return how many deployments should serve."""
    statement = select(func.count()).where(deployments.c.desired.is_not(None))
    return (await connection.execute(statement)).scalar_one()


async def _history(connection: AsyncConnection, project: str, name: str) -> list[DeploymentEvent]:
    statement = (
        select(deployment_events)
        .where(deployment_events.c.project == project, deployment_events.c.name == name)
        .order_by(deployment_events.c.at.desc(), deployment_events.c.id.desc())
        .limit(20)
    )
    return [
        DeploymentEvent(
            at=stamp(row.at), generation=row.generation, version=row.version, outcome=row.outcome
        )
        for row in await connection.execute(statement)
    ]


def _struct(row: Row[Any], history: list[DeploymentEvent]) -> Deployment:
    desired = row.desired
    # What was asked for last is not carried out yet: no older outcome must pass for its own.
    pending = desired is not None and row.generation != row.actual_generation
    return Deployment(
        name=row.name,
        status="loading" if pending else row.status,
        desired=Desired(
            version=desired.version if desired else None,
            checkpoint=desired.checkpoint if desired else None,
            pinned=desired.pinned if desired else False,
            generation=row.generation,
        ),
        actual=row.actual,
        parity=row.parity,
        load_ms=row.load_ms,
        error=row.error,
        history=history,
        updated_at=stamp(row.updated_at),
    )
