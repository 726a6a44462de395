"""Deployments: bring what serves to what is desired, and keep it so.

One actor per deployment. Load = new engines beside the old ones; then the flip: routes name the
new engines, the old ones are told to retire, and only when all have acknowledged is the deployment
`ready`. Any failure leaves the old engines serving and its reason on the deployment.
"""

import asyncio
import logging
from typing import Any

from sqlalchemy import Row

from tunery.types import Actual, DeploymentSpec, Parity
from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments
from tunery_server.supervisor.bell import Bell
from tunery_server.supervisor.engines import Engine, EngineStarter, LoadFailed, Target
from tunery_server.supervisor.jobs import Tell, error_info
from tunery_server.supervisor.specs import model_row

logger = logging.getLogger(__name__)

NOTHING = -1  # the generation of a deployment that has never served
MAX_RESTARTS = 3  # of an engine that dies again and again
STEADY_SECONDS = 60.0  # after which an engine's deaths are forgotten


class Deployer:
    """Keeps an actor for every deployment."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        starter: EngineStarter,
        bell: Bell,
        tell: Tell,
    ) -> None:
        self.database = database
        self.artifacts = artifacts
        self.starter = starter
        self.bell = bell
        self.tell = tell
        self._actors: dict[tuple[str, str], DeploymentActor] = {}

    async def forget_last_life(self) -> None:
        """Mark every deployment as loading: no engine of an earlier life is alive."""
        async with self.database.write() as connection:
            await deployments.clear_routes(connection)
            for row in await deployments.all_rows(connection):
                if row.desired is not None:
                    await deployments.write_actual(
                        connection, row.project, row.name, status="loading", actual=None
                    )

    async def run(self) -> None:
        """Start actors for deployments as they appear, until cancelled."""
        try:
            while True:
                async with self.database.read() as connection:
                    rows = await deployments.all_rows(connection)
                for row in rows:
                    actor = self._actors.get((row.project, row.name))
                    if actor is None:
                        actor = DeploymentActor(self, row)
                        self._actors[row.project, row.name] = actor
                    actor.notice(row)
                await self.bell.wait()
        finally:
            await asyncio.gather(*(actor.close() for actor in self._actors.values()))

    def replicas(self, spec: DeploymentSpec) -> int:
        """Return how many engines a spec asks for."""
        return 1 if spec.replicas == "auto" else spec.replicas


class DeploymentActor:
    """One deployment: its engines, its desired generation, its flips."""

    def __init__(self, deployer: Deployer, row: Row[Any]) -> None:
        self._deployer = deployer
        self._project: str = row.project
        self._name: str = row.name
        self._row = row
        self._engines: list[Engine] = []
        self._serving: DeploymentSpec | None = None
        self._degraded = False
        self._changed = asyncio.Event()
        self._deaths = 0
        self._draining: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(row))

    def notice(self, row: Row[Any]) -> None:
        """Take note of the row as it is now."""
        if row.generation != self._row.generation:
            self._row = row
            self._changed.set()

    async def close(self) -> None:
        """End all engines: the service stops, and no API worker is left to ask them."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(self._deployer.starter.end(engine) for engine in self._engines))
        await asyncio.gather(*self._draining, return_exceptions=True)

    async def _run(self, row: Row[Any]) -> None:
        handled = await self._restore(row)
        while True:
            try:
                while self._row.generation != handled:
                    self._changed.clear()
                    handled = self._row.generation
                    await self._carry_out(self._row)
                await self._wait_for_change_or_death()
            except Exception:  # one deployment's mishap must not end the others
                logger.exception("%s: its actor stumbled", self._owner)
                await self._deployer.bell.wait()

    async def _restore(self, row: Row[Any]) -> int:
        """Bring back what served in the last life; return the generation that is carried out."""
        if row.desired is None:
            return int(row.actual_generation)
        if row.actual_spec is None:
            return NOTHING
        try:
            engines, parity = await self._load(row.actual_spec)
        except LoadFailed as error:
            await self._write_failure(row.actual_spec, row.actual_generation, error)
            return int(row.actual_generation)
        degraded = row.error is not None and row.actual_generation == row.generation
        await self._flip(
            row.actual_spec,
            engines,
            parity,
            generation=row.actual_generation,
            degraded=degraded,
            history=False,
        )
        return int(row.actual_generation)

    async def _carry_out(self, row: Row[Any]) -> None:
        """Bring one PUT about, unless a later one supersedes it."""
        if row.desired is None:
            await self._stop(row.generation)
            return
        await self._write(status="loading")
        load = asyncio.create_task(self._load(row.desired))
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({load, change}, return_when=asyncio.FIRST_COMPLETED)
            if not load.done():
                return  # superseded: the candidate is stopped below
            engines, parity = await load
        except LoadFailed as error:
            await self._write_failure(row.desired, row.generation, error)
            return
        finally:
            for task in (load, change):
                task.cancel()
            await asyncio.gather(load, change, return_exceptions=True)
        await self._flip(row.desired, engines, parity, generation=row.generation)

    async def _load(self, spec: DeploymentSpec) -> tuple[list[Engine], Parity | None]:
        """Start all engines of a spec; nothing is left of them when one fails."""
        target, parity = await self._target(spec)
        starts = [
            asyncio.create_task(self._deployer.starter.start(self._owner, target))
            for _ in range(self._deployer.replicas(spec))
        ]
        try:
            engines = await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            for result in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(result, Engine):
                    await self._deployer.starter.end(result)
            raise
        return list(engines), parity

    async def _target(self, spec: DeploymentSpec) -> tuple[Target, Parity | None]:
        async with self._deployer.database.read() as connection:
            row = await model_row(connection, self._project, spec)
        if row is None:
            raise LoadFailed("model-not-found", "the version was deleted")
        target = Target(
            version=deployments.target_of(spec),
            model_dir=str(await self._deployer.artifacts.fetch(row.artifact)),
            manifest_sha256=row.manifest_sha256,
            runtime=spec.runtime,
        )
        return target, getattr(row, "parity", None)

    async def _flip(
        self,
        spec: DeploymentSpec,
        engines: list[Engine],
        parity: Parity | None,
        *,
        generation: int,
        degraded: bool = False,
        history: bool = True,
    ) -> None:
        """Route to the new engines, retire the old ones, then say `ready`."""
        old, self._engines = self._engines, engines
        self._serving, self._degraded = spec, degraded
        await self._write_routes()
        retired = await asyncio.gather(*(engine.retire() for engine in old))
        loaded = engines[0].loaded
        assert loaded is not None
        actual = Actual(
            version=deployments.target_of(spec),
            runtime=loaded.runtime,  # type: ignore[arg-type]  # the engine names one of ours
            precision=loaded.precision,
            replicas=len(engines),
            generation=generation,
        )
        values: dict[str, Any] = {
            "status": "degraded" if degraded else "ready",
            "actual": actual,
            "actual_spec": spec,
            "actual_generation": generation,
            "parity": parity,
            "load_ms": max(engine.loaded.load_ms for engine in engines if engine.loaded),
        }
        if not degraded:
            values["error"] = None
        await self._write(**values, outcome=(spec, generation, "ready") if history else None)
        for engine, conversation in zip(old, retired, strict=True):
            task = asyncio.create_task(self._deployer.starter.drain(engine, conversation))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def _stop(self, generation: int) -> None:
        """Serve nothing."""
        old, self._engines, self._serving = self._engines, [], None
        await self._write_routes()
        retired = await asyncio.gather(*(engine.retire() for engine in old))
        await self._write(
            status="stopped",
            actual=None,
            actual_spec=None,
            error=None,
            actual_generation=generation,
            parity=None,
            load_ms=None,
        )
        await asyncio.gather(
            *(self._deployer.starter.drain(*pair) for pair in zip(old, retired, strict=True))
        )

    async def _write_failure(
        self, spec: DeploymentSpec, generation: int, error: LoadFailed
    ) -> None:
        logger.warning("%s: %s: %s", self._owner, error.code, error)
        self._degraded = True
        await self._write(
            status="degraded" if self._engines else "failed",
            error=error_info(error.code, str(error), None),
            actual_generation=generation,
            outcome=(spec, generation, error.code),
        )

    async def _wait_for_change_or_death(self) -> None:
        """Wait for a PUT; an engine that dies meanwhile is replaced."""
        loop = asyncio.get_running_loop()
        deaths = {asyncio.create_task(engine.child.wait()): engine for engine in self._engines}
        change = asyncio.create_task(self._changed.wait())
        began = loop.time()
        try:
            done, _ = await asyncio.wait({change, *deaths}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (change, *deaths):
                task.cancel()
            await asyncio.gather(change, *deaths, return_exceptions=True)
        if loop.time() - began > STEADY_SECONDS:
            self._deaths = 0
        for task in done:
            if task is not change:
                await self._replace(deaths[task])

    async def _replace(self, dead: Engine) -> None:
        """Start another engine for one that has died."""
        self._deaths += 1
        self._engines.remove(dead)
        logger.warning("%s: an engine died: %s", self._owner, dead.child.log_tail()[-500:])
        await self._deployer.starter.bury(dead)
        await self._write_routes()
        spec = self._serving
        if spec is None:
            return
        generation = self._row.actual_generation
        if self._deaths > MAX_RESTARTS:
            message = f"the engine died {self._deaths} times"
            await self._write_failure(spec, generation, LoadFailed("crash-loop", message))
            return
        if not self._engines:
            await self._write(status="loading")
        try:
            target, _ = await self._target(spec)
            self._engines.append(await self._deployer.starter.start(self._owner, target))
        except LoadFailed as error:
            await self._write_failure(spec, generation, error)
            return
        await self._write_routes()
        await self._write(status="degraded" if self._degraded else "ready")

    @property
    def _owner(self) -> str:
        return f"{self._project}/{self._name}"

    async def _write_routes(self) -> None:
        labels = self._engines[0].loaded.labels if self._engines and self._engines[0].loaded else []
        async with self._deployer.database.write() as connection:
            await deployments.replace_routes(
                connection,
                self._project,
                self._name,
                version=deployments.target_of(self._serving) if self._serving else "",
                labels=labels,
                sockets=[str(engine.socket) for engine in self._engines],
            )
        self._deployer.tell(f"deployment:{self._owner}")

    async def _write(
        self, *, outcome: tuple[DeploymentSpec, int, str] | None = None, **values: Any
    ) -> None:
        async with self._deployer.database.write() as connection:
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
        self._deployer.tell(f"deployment:{self._owner}")
