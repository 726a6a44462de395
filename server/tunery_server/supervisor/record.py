"""Record: the rows of one deployment that the supervisor writes, and the news of them."""

from collections.abc import Sequence
from typing import Any

from tunery.types import Actual, DeploymentSpec
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments
from tunery_server.news import DEPLOYMENT
from tunery_server.supervisor.attempt import Tell
from tunery_server.supervisor.engines import Engine


class Record:
    """What is written down about one deployment."""

    def __init__(self, database: Database, tell: Tell, project: str, name: str) -> None:
        self._database = database
        self._tell = tell
        self._project = project
        self._name = name

    async def route(self, spec: DeploymentSpec | None, engines: Sequence[Engine]) -> None:
        """Let requests go to these engines, and to no other."""
        async with self._database.write() as connection:
            await deployments.replace_routes(
                connection,
                self._project,
                self._name,
                version=deployments.target_of(spec) if spec else "",
                sockets=[str(engine.socket) for engine in engines],
            )
        self._news()

    async def write(
        self, *, outcome: tuple[DeploymentSpec, int, str] | None = None, **values: Any
    ) -> None:
        """Write columns, and how a PUT ended: its spec, its generation, a word."""
        async with self._database.write() as connection:
            await deployments.write_actual(connection, self._project, self._name, **values)
            if outcome is not None:
                spec, generation, word = outcome
                await deployments.append_history(
                    connection,
                    self._project,
                    self._name,
                    generation=generation,
                    spec=spec,
                    outcome=word,
                )
        self._news()

    async def measured(self, actual: Actual) -> None:
        """Write what is held by now; that is no change of the deployment."""
        async with self._database.write() as connection:
            await deployments.write_measured(connection, self._project, self._name, actual)

    def _news(self) -> None:
        self._tell(f"{DEPLOYMENT}{self._project}/{self._name}")


def actual_of(spec: DeploymentSpec, engines: Sequence[Engine], generation: int) -> Actual:
    """Return what engines serve, all of them loaded, and at least one."""
    loaded = engines[0].loaded
    assert loaded is not None
    return Actual(
        version=deployments.target_of(spec),
        runtime=loaded.runtime,  # type: ignore[arg-type]  # the engine names one of ours
        precision=loaded.precision,
        replicas=len(engines),
        memory_bytes=sum(engine.memory_bytes for engine in engines),
        generation=generation,
    )
