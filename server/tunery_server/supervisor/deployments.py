"""Deployments: bring what serves to what is desired, and keep it so.

One actor per deployment. Load = new engines beside the old ones; then the flip: routes name the
new engines, the old ones are told to retire, and only when all have acknowledged is the deployment
`ready`. Any failure leaves the old engines serving and its reason on the deployment.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError

from tunery.types import Actual, DeploymentSpec, Parity
from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments
from tunery_server.supervisor.attempt import Tell, error_info
from tunery_server.supervisor.bell import Bell
from tunery_server.supervisor.engines import Engine, EngineStarter, LoadFailed, Target
from tunery_server.supervisor.specs import model_row

logger = logging.getLogger(__name__)

NOTHING = -1  # the generation of a deployment that has never served
MAX_DEATHS = 3  # before a deployment without engines is called failed
MAX_PAUSE_SECONDS = 60.0  # between engines that die again and again
STEADY_SECONDS = 60.0  # after which an engine's deaths are forgotten
STUMBLE_SECONDS = 1.0


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
                heard = self.bell.rings
                rows: Sequence[Row[Any]]
                try:
                    async with self.database.read() as connection:
                        rows = await deployments.all_rows(connection)
                except DBAPIError:
                    logger.exception("the database failed; the engines serve on")
                    rows = ()
                for row in rows:
                    actor = self._actors.get((row.project, row.name))
                    if actor is None:
                        actor = DeploymentActor(self, row)
                        self._actors[row.project, row.name] = actor
                    actor.notice(row)
                await self.bell.wait(heard)
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
        self._generation: int = row.actual_generation  # of what serves
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
        handled: int | None = None
        while True:
            try:
                if handled is None:
                    handled = await self._restore(row)
                while self._row.generation != handled:
                    self._changed.clear()
                    wanted = self._row
                    await self._carry_out(wanted)
                    handled = wanted.generation
                await self._wait_for_change_or_death()
            except Exception:  # one deployment's mishap must not end the others
                logger.exception("%s: its actor stumbled", self._owner)
                await asyncio.sleep(STUMBLE_SECONDS)

    async def _restore(self, row: Row[Any]) -> int:
        """Bring back what served in the last life; return the generation that is carried out."""
        if row.desired is None:
            return int(row.actual_generation)
        if row.actual_spec is None:
            return NOTHING
        try:
            engines, parity = await self._load(row.actual_spec)
        except LoadFailed as error:
            self._serving = row.actual_spec  # it is tried again, see _refill
            self._deaths += 1
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
        began = time.monotonic()
        await self._write(status="loading")
        load = asyncio.create_task(self._load(row.desired))
        change = asyncio.create_task(self._changed.wait())
        try:
            while not load.done() and not change.done():
                for dead in await self._first_deaths({load, change}):
                    await self._bury(dead)
                    await self._refill()
            if not load.done():
                return  # superseded: the candidate is stopped below
            engines, parity = await load
        except LoadFailed as error:
            await self._write_failure(row.desired, row.generation, error)
            self._count_swap(error.code, began)
            return
        finally:
            for task in (load, change):
                task.cancel()
            await asyncio.gather(load, change, return_exceptions=True)
        await self._flip(row.desired, engines, parity, generation=row.generation)
        self._count_swap("ready", began)

    def _count_swap(self, outcome: str, began: float) -> None:
        ledger = self._deployer.starter.ledger
        ledger.swapped(self._owner, outcome, time.monotonic() - began)

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
            precision=spec.precision,
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
        before = self._engines, self._serving
        old, self._engines, self._serving = self._engines, engines, spec
        try:
            await self._write_routes()
        except BaseException:
            self._engines, self._serving = before
            await asyncio.gather(*(self._deployer.starter.end(engine) for engine in engines))
            raise
        self._generation, self._degraded, self._deaths = generation, degraded, 0
        retired = await asyncio.gather(*(engine.retire() for engine in old))
        for engine, conversation in zip(old, retired, strict=True):
            task = asyncio.create_task(self._deployer.starter.drain(engine, conversation))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
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
            "parity": loaded.parity or parity,
            "load_ms": max(engine.loaded.load_ms for engine in engines if engine.loaded),
        }
        if not degraded:
            values["error"] = None
        await self._write(**values, outcome=(spec, generation, "ready") if history else None)

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
        """Wait for a PUT; an engine that is missing is replaced, later with every death."""
        missing = self._missing
        pause = min(MAX_PAUSE_SECONDS, 2.0 ** (self._deaths - 2)) if self._deaths > 1 else 0.0
        began = time.monotonic()
        change = asyncio.create_task(self._changed.wait())
        try:
            dead = await self._first_deaths({change}, patience_seconds=pause if missing else None)
        finally:
            change.cancel()
        if time.monotonic() - began > STEADY_SECONDS:
            self._deaths = 0
        for engine in dead:
            await self._bury(engine)
        if missing and not dead and not self._changed.is_set():
            await self._refill()

    @property
    def _missing(self) -> bool:
        """Whether fewer engines serve than should."""
        serving = self._serving
        return serving is not None and len(self._engines) < self._deployer.replicas(serving)

    async def _first_deaths(
        self, others: set["asyncio.Task[Any]"], *, patience_seconds: float | None = None
    ) -> list[Engine]:
        """Wait until one of the tasks is done or an engine dies; return the dead ones."""
        deaths: dict[asyncio.Task[Any], Engine] = {
            asyncio.create_task(engine.child.wait()): engine for engine in self._engines
        }
        try:
            done, _ = await asyncio.wait(
                {*others, *deaths}, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in deaths:
                task.cancel()
            await asyncio.gather(*deaths, return_exceptions=True)
        return [deaths[task] for task in done if task in deaths]

    async def _bury(self, dead: Engine) -> None:
        """Route no more to an engine that has died."""
        self._deaths += 1
        self._deployer.starter.ledger.engine_died(self._owner)
        self._engines.remove(dead)
        logger.warning("%s: an engine died: %s", self._owner, dead.child.log_tail()[-500:])
        await self._deployer.starter.bury(dead)
        await self._write_routes()
        if self._engines:
            return
        if self._deaths > MAX_DEATHS:
            message = f"the engine died {self._deaths} times; it is still tried again"
            await self._write(status="failed", error=error_info("crash-loop", message, None))
        else:
            await self._write(status="loading")

    async def _refill(self) -> None:
        """Start an engine in the place of a missing one."""
        assert self._serving is not None
        try:
            target, _ = await self._target(self._serving)
            self._engines.append(await self._deployer.starter.start(self._owner, target))
        except LoadFailed as error:
            self._deaths += 1
            status = "degraded" if self._engines else "failed"
            await self._write(status=status, error=error_info(error.code, str(error), None))
            return
        await self._write_routes()
        if self._degraded:
            await self._write(status="degraded")
        else:
            await self._write(status="ready", error=None)

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
