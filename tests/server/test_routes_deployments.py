"""Deployments over HTTP: what is asked for is kept, and who holds what is shown to its project."""

from tests.server.conftest import Api

from tunery.types import Actual, DeploymentSpec
from tunery_server.db.queries import deployments


def add_serving(api: Api, project: str, name: str, held: int, *, replicas: int = 1) -> None:
    spec = DeploymentSpec(version="intent/1", pinned=name == "pinned")
    actual = Actual(
        version="intent/1",
        runtime="openvino",
        precision="fp32",
        replicas=replicas,
        memory_bytes=held,
        generation=1,
    )

    async def body() -> None:
        async with api.services.database.write() as connection:
            await deployments.put(connection, project, name, spec)
            await deployments.write_actual(
                connection, project, name, status="ready", actual=actual, actual_spec=spec
            )

    api.run(body())


def test_devices_name_what_the_own_project_holds_and_count_all(api: Api) -> None:
    add_serving(api, "default", "small", 100)
    add_serving(api, "default", "pinned", 300)
    add_serving(api, "default", "idle", 0, replicas=0)
    add_serving(api, "theirs", "secret", 500)

    devices = api.get("/devices").json()["data"]

    assert [(each["device"], each["used_bytes"]) for each in devices] == [("cpu", 900)]
    occupants = devices[0]["occupants"]
    assert [(each["name"], each["memory_bytes"], each["pinned"]) for each in occupants] == [
        ("pinned", 300, True),
        ("small", 100, False),
    ]


def test_a_put_keeps_its_strategy_and_whether_it_is_pinned(api: Api) -> None:
    version = api.add_version()

    answer = api.put(
        "/deployments/intent", {"version": version, "strategy": "recreate", "pinned": True}
    )

    assert (answer.status_code, answer.json()["desired"]["pinned"]) == (202, True)


def test_another_strategy_is_refused(api: Api) -> None:
    version = api.add_version()

    answer = api.put("/deployments/intent", {"version": version, "strategy": "rolling"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/strategy")
