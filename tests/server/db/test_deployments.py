"""Deployments: what was asked for last is `loading` until it is carried out."""

from collections.abc import Callable

from tunery.types import Actual, DeploymentSpec
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments

FIRST, SECOND = DeploymentSpec(version="intent/1"), DeploymentSpec(version="intent/2")


async def carried_out(database: Database, spec: DeploymentSpec, generation: int) -> None:
    async with database.write() as connection:
        await deployments.write_actual(
            connection,
            "default",
            "intent",
            status="ready",
            actual_spec=spec,
            actual_generation=generation,
        )
        await deployments.append_history(
            connection, "default", "intent", generation=generation, spec=spec, outcome="ready"
        )


async def put(database: Database, spec: DeploymentSpec | None) -> int:
    async with database.write() as connection:
        return await deployments.put(connection, "default", "intent", spec)


async def status(database: Database) -> str:
    async with database.read() as connection:
        deployment = await deployments.get(connection, "default", "intent")
    assert deployment is not None
    return deployment.status


def test_an_older_outcome_never_passes_for_that_of_the_last_put(run: Callable) -> None:
    async def body(database: Database) -> list[str]:
        seen = []
        await carried_out(database, FIRST, await put(database, FIRST))
        seen.append(await status(database))
        generation = await put(database, SECOND)
        seen.append(await status(database))
        await carried_out(database, SECOND, generation)
        seen.append(await status(database))
        return seen

    assert run(body) == ["ready", "loading", "ready"]


def test_rollback_finds_the_last_other_version_that_was_ready(run: Callable) -> None:
    async def body(database: Database) -> object:
        for spec in (FIRST, SECOND):
            await carried_out(database, spec, await put(database, spec))
        async with database.read() as connection:
            return await deployments.last_other(connection, "default", "intent", "intent/2")

    assert run(body) == FIRST


def test_routes_are_replaced_as_a_whole(run: Callable) -> None:
    async def body(database: Database) -> list[str]:
        for version, sockets in (("intent/1", ["a", "b"]), ("intent/2", ["c"])):
            async with database.write() as connection:
                await deployments.replace_routes(
                    connection, "default", "intent", version=version, sockets=sockets
                )
        async with database.read() as connection:
            by_name = await deployments.routes_to(connection, "default", "intent")
            by_version = await deployments.routes_to(connection, "default", "intent/2")
            gone = await deployments.routes_to(connection, "default", "intent/1")
        return [route.socket for route in [*by_name, *by_version, *gone]]

    assert run(body) == ["c", "c"]


def test_a_version_is_found_by_who_would_serve_it(run: Callable) -> None:
    async def body(database: Database) -> list[str | None]:
        await carried_out(database, FIRST, await put(database, FIRST))
        await put(database, SECOND)
        async with database.read() as connection:
            return [
                await deployments.name_of(connection, "default", model)
                for model in ("intent", "intent/1", "intent/2")
            ]

    assert run(body) == ["intent", "intent", None]


def test_a_version_of_two_deployments_is_answered_by_one_that_can(run: Callable) -> None:
    async def body(database: Database) -> list[object]:
        for name, status in (("a", "failed"), ("b", "idle"), ("c", "ready")):
            async with database.write() as connection:
                await deployments.put(connection, "default", name, FIRST)
                await deployments.write_actual(
                    connection, "default", name, status=status, actual_spec=FIRST
                )
        async with database.read() as connection:
            name = await deployments.name_of(connection, "default", "intent/1")
        for served in ("b", "c"):
            async with database.write() as connection:
                await deployments.replace_routes(
                    connection, "default", served, version="intent/1", sockets=[served]
                )
        async with database.read() as connection:
            found = await deployments.routes_to(connection, "default", "intent/1")
        return [name, *(route.socket for route in found)]

    assert run(body) == ["b", "b"]


def test_what_is_held_by_now_is_no_change(run: Callable) -> None:
    actual = Actual(
        version="intent/1",
        runtime="openvino",
        precision="fp32",
        replicas=1,
        memory_bytes=7,
        generation=1,
    )

    async def body(database: Database) -> tuple[bool, int]:
        await carried_out(database, FIRST, await put(database, FIRST))
        async with database.write() as connection:
            before = await deployments.get(connection, "default", "intent")
            await deployments.write_measured(connection, "default", "intent", actual)
            after = await deployments.get(connection, "default", "intent")
        assert before is not None
        assert after is not None
        assert after.actual is not None
        return before.updated_at == after.updated_at, after.actual.memory_bytes

    assert run(body) == (True, 7)
