"""Actor: one deployment's life, from what is desired to what serves.

Load = new engines beside the old ones; then the flip: routes name the new engines, the old ones are
told to retire, and only when all have acknowledged is the deployment `ready`. Any failure leaves
the old engines serving, or brings them back where they made room first, and its reason on the
deployment. Sent away for lack of room, it retires its engines and is `idle` until it is asked for.
"""

import asyncio
import logging
import time
from typing import Any

import msgspec
from sqlalchemy import Row

from tunery.types import Actual, DeploymentSpec, Parity
from tunery_server.supervisor.attempt import error_info
from tunery_server.supervisor.backoff import Backoff
from tunery_server.supervisor.child import how_it_ended
from tunery_server.supervisor.engines import Engine, EngineStarter, LoadFailed
from tunery_server.supervisor.gatekeeper import Gatekeeper
from tunery_server.supervisor.loads import Loader, replicas_of
from tunery_server.supervisor.record import Record, actual_of
from tunery_server.supervisor.room import NO_ROOM, Room

logger = logging.getLogger(__name__)

NOTHING = -1  # the generation of a deployment that has never served
MAX_DEATHS = 3  # before a deployment without engines is called failed
STUMBLE_SECONDS = 1.0
GROWTH = 0.1  # of the memory that is recorded, before it is recorded anew


class DeploymentActor:
    """One deployment: its engines, its desired generation, its flips."""

    def __init__(
        self,
        row: Row[Any],
        record: Record,
        gatekeeper: Gatekeeper,
        loader: Loader,
        starter: EngineStarter,
        room: Room,
    ) -> None:
        self._owner = f"{row.project}/{row.name}"
        self._record = record
        self._gatekeeper = gatekeeper
        self._loader = loader
        self._starter = starter
        self._tenant = room.enter(self._owner)
        self._row = row
        self._generation: int = row.actual_generation  # of what serves
        self._actual: Actual | None = row.actual
        self._engines: list[Engine] = []
        self._serving: DeploymentSpec | None = None  # or would, if it were awake
        self._labels: frozenset[str] | None = None  # of what served last
        self._asleep = False  # unloaded until it is asked for
        self._asked_for = False
        self._waits = False  # for an evaluation that the gate of what is desired rests on
        self._degraded = False
        self._changed = asyncio.Event()
        self._backoff = Backoff()
        self._task = asyncio.create_task(self._run(row))

    def notice(self, row: Row[Any]) -> None:
        """Take note of the row as it is now."""
        if self._waits or row.generation != self._row.generation:
            self._row = row
            self._changed.set()

    def ask_for(self) -> None:
        """Take note that a request waits for this deployment."""
        if self._asleep and not self._asked_for:
            self._asked_for = True
            self._tenant.nudged.set()

    async def look(self) -> None:
        """See whether the engines were used, and what those hold by now: the others don't grow."""
        engines = list(self._engines)
        used = [engine for engine in engines if await engine.was_used()]
        if used:
            self._tenant.used_at = time.monotonic()
        for engine in used:
            self._starter.measure(engine)
        if self._serving is None or not engines or engines != self._engines:
            return
        actual = actual_of(self._serving, engines, self._generation)
        known = self._actual.memory_bytes if self._actual else 0
        if abs(actual.memory_bytes - known) > GROWTH * known:
            self._actual = actual
            await self._record.measured(actual)

    async def close(self) -> None:
        """End all engines: the service stops, and no API worker is left to ask them."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(self._starter.end(engine) for engine in self._engines))

    async def _run(self, row: Row[Any]) -> None:
        handled: int | None = None
        while True:
            try:
                if handled is None:
                    handled = await self._restore(row)
                if self._tenant.sent_away:
                    await self._unload()
                while self._row.generation != handled:
                    self._changed.clear()
                    wanted = self._row
                    if not await self._pass(wanted):
                        break
                    handled = wanted.generation
                if self._asleep and self._asked_for:
                    await self._wake()
                await self._wait_for_something_to_do()
            except Exception:  # one deployment's mishap must not end the others
                logger.exception("%s: its actor stumbled", self._owner)
                self._tenant.busy = False  # who waits for room must not wait for this one
                await asyncio.sleep(STUMBLE_SECONDS)
                self._tenant.busy = True

    async def _restore(self, row: Row[Any]) -> int:
        """Bring back what served in the last life; return the generation that is carried out.

        What was idle stays so, and so does what finds no room beside the others.
        """
        if row.desired is None:
            return int(row.actual_generation)
        if row.actual_spec is None:
            return NOTHING
        spec: DeploymentSpec = row.actual_spec
        self._serving = spec
        self._tenant.pinned = spec.pinned
        self._labels = await self._loader.labels_of(self._owner, spec)
        self._degraded = spec != row.desired and row.actual_generation == row.generation
        self._asleep = row.status == "idle"
        if self._asleep:
            return int(row.actual_generation)
        try:
            engines, parity = await self._load(spec, unload=spec.pinned)
        except LoadFailed as error:
            if error.code == NO_ROOM and not spec.pinned:
                await self._fall_asleep()
            else:
                self._backoff.count()  # it is tried again, see _refill
                await self._write_trouble(error)
            return int(row.actual_generation)
        await self._flip(
            spec,
            engines,
            parity,
            generation=self._generation,
            degraded=self._degraded,
            history=False,
        )
        return int(row.actual_generation)

    async def _pass(self, row: Row[Any]) -> bool:
        """Carry out one PUT, if its gate lets it pass; return whether the PUT is done with."""
        self._waits = False
        desired: DeploymentSpec | None = row.desired
        if desired is not None:
            verdict = asyncio.create_task(self._gatekeeper.admits(self._owner, desired))
            try:
                await self._serve_until(verdict)
                self._waits = not await verdict
            except LoadFailed as error:
                await self._write_failure(desired, row.generation, error)
                return True
            finally:
                verdict.cancel()
        if not self._waits:
            await self._carry_out(row)
        return not self._waits

    async def _carry_out(self, row: Row[Any]) -> None:
        """Bring one PUT about, unless a later one supersedes it."""
        if row.desired is None:
            await self._stop(row.generation)
            return
        began = time.monotonic()
        await self._record.write(status="loading")
        if row.desired.strategy == "recreate":
            await self._step_aside()
        labels = None if row.desired.allow_label_change else self._labels
        load = asyncio.create_task(self._load(row.desired, labels=labels))
        change = asyncio.create_task(self._changed.wait())
        try:
            await self._serve_until(load, change)
            if not load.done():
                return  # superseded: the candidate is stopped below
            engines, parity = await load
        except LoadFailed as error:
            await self._bring_back()
            await self._write_failure(row.desired, row.generation, error)
            self._count_swap(error.code, began)
            return
        finally:
            for task in (load, change):
                task.cancel()
            await asyncio.gather(load, change, return_exceptions=True)
        await self._flip(row.desired, engines, parity, generation=row.generation)
        self._count_swap("ready", began)

    async def _load(
        self, spec: DeploymentSpec, **wanted: Any
    ) -> tuple[list[Engine], Parity | None]:
        """Load as the loader does; niced, unless clients may wait for it since nothing serves."""
        niced = bool(self._engines) or self._serving is None
        return await self._loader.load(self._tenant, spec, niced=niced, **wanted)

    def _count_swap(self, outcome: str, began: float) -> None:
        self._starter.ledger.swapped(self._owner, outcome, time.monotonic() - began)

    async def _step_aside(self) -> None:
        """Let the old engines go before the new ones come: the device can't hold both."""
        await self._record.route(None, [])
        old, self._engines = self._engines, []
        await asyncio.gather(*await self._starter.retire(old))

    async def _bring_back(self) -> None:
        """Load what has stepped aside, when what it made room for does not serve."""
        if self._serving is None or self._engines or self._asleep:
            return
        try:
            self._engines, _ = await self._load(self._serving)
        except LoadFailed as error:
            logger.warning("%s: the old one: %s: %s", self._owner, error.code, error)
            self._backoff.count()  # it is tried again, see _refill
            return
        self._tenant.serving_since = self._tenant.used_at = time.monotonic()
        await self._record.route(self._serving, self._engines)

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
        try:
            await self._record.route(spec, engines)
        except BaseException:
            await asyncio.gather(*(self._starter.end(engine) for engine in engines))
            raise
        old, self._engines, self._serving = self._engines, engines, spec
        self._generation, self._degraded = generation, degraded
        self._backoff.forget()
        self._labels = frozenset(engines[0].labels)
        self._asleep = self._asked_for = False
        self._tenant.pinned = spec.pinned
        self._tenant.serving_since = self._tenant.used_at = time.monotonic()
        await self._starter.retire(old)
        self._actual = actual_of(spec, engines, generation)
        values: dict[str, Any] = {
            "status": "degraded" if degraded else "ready",
            "actual": self._actual,
            "actual_spec": spec,
            "actual_generation": generation,
            "parity": parity,
            "load_ms": max(engine.loaded.load_ms for engine in engines if engine.loaded),
        }
        if not degraded:
            values["error"] = None
        await self._record.write(**values, outcome=(spec, generation, "ready") if history else None)

    async def _stop(self, generation: int) -> None:
        """Serve nothing."""
        await self._record.route(None, [])
        old, self._engines, self._serving, self._asleep = self._engines, [], None, False
        self._labels = None
        draining = await self._starter.retire(old)
        self._actual = None
        await self._record.write(
            status="stopped",
            actual=None,
            actual_spec=None,
            error=None,
            actual_generation=generation,
            parity=None,
            load_ms=None,
        )
        await asyncio.gather(*draining)

    async def _unload(self) -> None:
        """Let the engines go, with their requests answered, until somebody asks again."""
        await self._record.route(None, [])
        old, self._engines = self._engines, []
        await asyncio.gather(*await self._starter.retire(old))
        await self._fall_asleep()
        self._tenant.sent_away = False

    async def _fall_asleep(self) -> None:
        self._asleep, self._asked_for = True, False
        if self._actual is not None:
            self._actual = msgspec.structs.replace(self._actual, replicas=0, memory_bytes=0)
        await self._record.write(status="idle", actual=self._actual)

    async def _wake(self) -> None:
        """Load again what was unloaded: a request waits for it."""
        assert self._serving is not None
        await self._record.write(status="loading")
        try:
            engines, parity = await self._load(self._serving)
        except LoadFailed as error:
            self._asleep = self._asked_for = False
            self._backoff.count()  # it is tried again, see _refill
            await self._write_trouble(error)
            return
        await self._flip(
            self._serving,
            engines,
            parity,
            generation=self._generation,
            degraded=self._degraded,
            history=False,
        )

    async def _wait_for_something_to_do(self) -> None:
        """Wait for a PUT, or to be sent away or asked for; a missing engine is replaced.

        Later with every death.
        """
        missing = self._missing
        change = asyncio.create_task(self._changed.wait())
        nudge = asyncio.create_task(self._tenant.nudged.wait())
        self._tenant.busy = False
        try:
            dead = await self._first_deaths(
                {change, nudge}, patience_seconds=self._backoff.pause_seconds if missing else None
            )
        finally:
            self._tenant.busy = True
            change.cancel()
            nudge.cancel()
        self._tenant.nudged.clear()
        for engine in dead:
            await self._bury(engine)
        superseded = self._tenant.sent_away or (self._changed.is_set() and not self._waits)
        if missing and not dead and not superseded and not self._backoff.pause_seconds:
            await self._refill()

    @property
    def _missing(self) -> bool:
        """Whether fewer engines serve than should."""
        serving = None if self._asleep else self._serving
        return serving is not None and len(self._engines) < replicas_of(serving)

    async def _serve_until(self, *tasks: "asyncio.Task[Any]") -> None:
        """Wait until one of the tasks is done; engines that die meanwhile are replaced."""
        while not any(task.done() for task in tasks):
            for dead in await self._first_deaths(set(tasks)):
                await self._bury(dead)
                await self._refill()

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
        self._backoff.count(loaded_at=dead.loaded_at)
        self._starter.ledger.engine_died(self._owner)
        self._engines.remove(dead)
        how = how_it_ended(await dead.child.wait())
        logger.warning(
            "%s: an engine ended with %s: %s", self._owner, how, dead.child.log_tail()[-500:]
        )
        await self._record.route(self._serving, self._engines)
        await self._starter.bury(dead)
        if self._engines and self._serving is not None:
            self._actual = actual_of(self._serving, self._engines, self._generation)
            await self._record.write(actual=self._actual)
            return
        if (deaths := self._backoff.deaths) > MAX_DEATHS:
            message = f"the engine died {deaths} times; it is still tried again"
            await self._record.write(status="failed", error=error_info("crash-loop", message, None))
        else:
            await self._record.write(status="loading")

    async def _refill(self) -> None:
        """Start an engine in the place of a missing one."""
        if self._serving is None or not self._missing:
            return
        try:
            engines, _ = await self._load(self._serving, replicas=1)
        except LoadFailed as error:
            self._backoff.count()
            await self._write_trouble(error)
            return
        if not self._engines:  # who waited for it comes now
            self._tenant.used_at = time.monotonic()
        self._engines += engines
        self._labels = frozenset(engines[0].labels)
        self._tenant.serving_since = time.monotonic()
        await self._record.route(self._serving, self._engines)
        self._actual = actual_of(self._serving, self._engines, self._generation)
        if self._degraded:
            await self._record.write(status="degraded", actual=self._actual)
        else:
            await self._record.write(status="ready", actual=self._actual, error=None)

    async def _write_failure(
        self, spec: DeploymentSpec, generation: int, error: LoadFailed
    ) -> None:
        """Say why a PUT was not carried out; what served before does so again, or on."""
        self._degraded = True
        await self._write_trouble(
            error, actual_generation=generation, outcome=(spec, generation, error.code)
        )

    async def _write_trouble(self, error: LoadFailed, **values: Any) -> None:
        logger.warning("%s: %s: %s", self._owner, error.code, error)
        unserved = "idle" if self._asleep else "failed"
        await self._record.write(
            status="degraded" if self._engines else unserved,
            error=error_info(error.code, str(error), None),
            **values,
        )
