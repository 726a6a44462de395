"""The supervisor's life: start, keep everything running, drain, end.

tunery serve ── supervisor
├─ api × N        on the socket that is bound here, so that a worker's death loses no backlog
├─ train lane     a task per device slot: claim, run, claim
├─ light lane     ingest, evaluation, label issues: never behind a fine-tune
├─ reader         tokenizers
├─ engines        see deployments.py
└─ spares         see slots.py
"""

import asyncio
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row

from tunery.types import JobStatus
from tunery_server.artifacts import Artifacts
from tunery_server.base_models import BaseModels
from tunery_server.db.engine import FAILURES, Database
from tunery_server.db.migrate import upgrade
from tunery_server.db.queries import (
    artifacts,
    deployments,
    files,
    jobs,
    keys,
    processes,
)
from tunery_server.db.states import LIVE
from tunery_server.figures import SERVICE, show
from tunery_server.keys import ensure_admin_key
from tunery_server.settings import LOOPBACK, Settings
from tunery_server.supervisor import cache
from tunery_server.supervisor.bell import Bell, Datagrams
from tunery_server.supervisor.child import Nursery
from tunery_server.supervisor.deployments import Deployer
from tunery_server.supervisor.engines import EngineStarter
from tunery_server.supervisor.gatekeeper import Gatekeeper
from tunery_server.supervisor.jobs import JobRunner
from tunery_server.supervisor.ledger import Ledger
from tunery_server.supervisor.memory import engine_budget
from tunery_server.supervisor.proc import end_remains
from tunery_server.supervisor.publish import CANCELLED, Publisher
from tunery_server.supervisor.slots import Slot
from tunery_server.supervisor.specs import SpecWriter
from tunery_server.supervisor.start import (
    StartRefused,
    bind,
    lock_data_dir,
    prepare_directories,
)
from tunery_server.supervisor.workers import Workers
from tunery_trainer.protocol.specs import ReaderRun

logger = logging.getLogger(__name__)

EXIT_FAILED = 1
DATABASE_SECONDS = 1.0  # before a part tries again whose database has failed
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: starting again would not help
RESTART_SECONDS = 0.25  # before a dead reader is replaced; doubled each time
MAX_RESTART_SECONDS = 60.0


def serve(settings: Settings, environment: Mapping[str, str]) -> int:
    """Run the service until it is told to stop; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.umask(0o077)
    try:
        lock = lock_data_dir(settings)
        listener = bind(settings)
    except StartRefused as error:
        logger.error("%s", error)
        return EXIT_CONFIG
    try:
        budget = engine_budget(settings)
        supervisor = Supervisor(replace(settings, engine_memory=budget), environment, listener)
        asyncio.run(supervisor.run())
    except StartRefused as error:
        logger.error("%s", error)
        return EXIT_CONFIG
    finally:
        listener.close()
        os.close(lock)
    return EXIT_FAILED if supervisor.failed else 0


class Supervisor:
    """The parent of everything."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], listener: socket.socket
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._database = Database(settings.database)
        self._artifacts = Artifacts(settings.artifacts, settings.root)
        self._base_models = BaseModels(settings.base_models, settings.hub_cache)
        self._nursery = Nursery(self._database, environment)
        self._bell = Bell()
        self._workers = Workers(
            settings, self._nursery, listener.fileno(), self._artifacts.incoming
        )
        self._stop = asyncio.Event()
        self._draining = False
        self.failed = False  # a part of the service ended that must not

    async def run(self) -> None:
        """Start, keep running, and drain when told to stop.

        Raises:
            StartRefused: the service must not start like this.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        prepare_directories(self._settings)
        # The workers import while the database is brought up to date; `go` lets them serve.
        api = [self._keep(self._workers.keep_one) for _ in range(self._settings.workers)]
        try:
            publisher = Publisher(self._database, self._artifacts)
            await self._prepare(publisher)
            await self._serve(api, publisher)
        finally:
            for task in api:
                task.cancel()
            await asyncio.gather(*api, return_exceptions=True)
            await self._database.close()
            shutil.rmtree(self._settings.run_dir, ignore_errors=True)

    async def _serve(self, api: Sequence["asyncio.Task[None]"], publisher: Publisher) -> None:
        datagrams = Datagrams(self._settings.run_dir, self._bell)
        writer = SpecWriter(self._settings, self._artifacts, self._base_models)
        runner = JobRunner(
            self._settings, self._database, self._nursery, writer, publisher, datagrams.tell
        )
        ledger = Ledger(self._settings, self._artifacts)
        starter = EngineStarter(self._settings, self._nursery, ledger)
        gatekeeper = Gatekeeper(self._settings, self._database, self._artifacts)
        deployer = Deployer(
            self._settings,
            self._database,
            self._artifacts,
            starter,
            gatekeeper,
            self._bell,
            datagrams.tell,
        )
        datagrams.on_wanted(deployer.ask_for)
        await deployer.forget_last_life()
        figures = await show(self._settings.run_dir / SERVICE, ledger.figures)
        self._workers.go()
        logger.info("serving on http://%s:%d", *self._listener.getsockname()[:2])
        slots = ledger.slots = [self._slot(device) for device in self._settings.device_slots]
        lanes = [
            *(self._keep(partial(self._train_lane, runner, slot)) for slot in slots),
            *(
                self._keep(partial(self._light_lane, runner))
                for _ in range(self._settings.light_slots)
            ),
        ]
        rest = [
            self._keep(deployer.run),
            self._keep(self._run_reader),
            self._keep(self._sweep_cache),
            self._keep(partial(self._control, runner, publisher, datagrams)),
        ]
        await self._stop.wait()
        await self._drain(runner, api, lanes)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.gather(*(slot.close() for slot in slots))
        figures.close()
        datagrams.close()
        logger.info("stopped")

    async def _prepare(self, publisher: Publisher) -> None:
        """Bring everything to where this life can begin: no process of the last one is alive."""
        await upgrade(self._database)
        async with self._database.write() as connection:
            await asyncio.to_thread(end_remains, await processes.all_rows(connection))
            await processes.clear(connection)
            for job in await jobs.live(connection):
                target = _after_a_lost_life(job.status)
                await jobs.move(connection, job.id, target, attempt=job.attempt)
                if target == "cancelled":
                    await publisher.settle_unfinished(connection, job, CANCELLED)
        async with self._database.read() as connection:
            protected = await keys.count(connection) > 0
        if not protected and self._settings.host not in LOOPBACK:
            raise StartRefused(
                f"no key protects {self._settings.host}; make one first: "
                f"python -m tunery_server key --data-dir {self._settings.root}"
            )
        await ensure_admin_key(self._database, self._settings.root)
        await self._artifacts.prepare()
        async with self._database.read() as connection:
            named = {files.artifact(sha256) for sha256 in await files.sha256s(connection)}
            named |= await artifacts.named(connection)
        await self._artifacts.sweep(named)

    async def _run_reader(self) -> None:
        """Keep the reader alive."""
        work = self._settings.work_dir / "reader"
        pause = RESTART_SECONDS
        while True:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True, mode=0o700)
            spec = ReaderRun(
                work_dir=str(work),
                socket=str(self._settings.reader_socket),
                base_models=self._base_models.directories(),
                reads=[
                    str(self._artifacts.readable(each))
                    for each in ("datasets", "versions", "evaluations", "label-issues")
                ],
            )
            (work / "spec.json").write_bytes(msgspec.json.encode(spec))
            child = await self._nursery.start(
                ["tunery_trainer", str(work / "spec.json")],
                role="reader",
                owner="reader",
                log=self._settings.log_dir / "reader.log",
                variables={"OMP_NUM_THREADS": "1"},
            )
            try:
                code = await self._nursery.bury(child)
            except asyncio.CancelledError:
                child.kill()
                await self._nursery.bury(child)
                raise
            pause = min(2 * pause, MAX_RESTART_SECONDS)
            logger.warning("the reader ended with code %d; the next in %g s", code, pause)
            await asyncio.sleep(pause)

    async def _sweep_cache(self) -> None:
        """Let the tokenised rows of deleted datasets go, first those of the last life."""
        while True:
            heard = self._bell.rings
            await cache.sweep(self._database, self._settings.cache_dir)
            await self._bell.wait(heard)

    async def _train_lane(self, runner: JobRunner, slot: Slot) -> None:
        """Run one fine-tune after the other on a slot."""
        while not self._draining:
            heard = self._bell.rings
            job = await self._claim(jobs.TRAIN_KINDS)
            if job is None:
                slot.warm_up()
                await self._bell.wait(heard)
                continue
            threads = await self._train_threads()
            slot.busy = True
            try:
                await runner.run(job, device=slot.device, threads=threads, start=slot.start)
            finally:
                slot.busy = False
            self._bell.ring()  # an evaluation or a deployment may follow

    async def _light_lane(self, runner: JobRunner) -> None:
        """Run one ingest, evaluation or search for label issues after the other."""
        while not self._draining:
            heard = self._bell.rings
            job = await self._claim(jobs.LIGHT_KINDS)
            if job is None:
                await self._bell.wait(heard)
                continue
            await runner.run(job, device="cpu", threads=self._settings.thread_count)
            self._bell.ring()

    async def _control(self, runner: JobRunner, publisher: Publisher, datagrams: Datagrams) -> None:
        """Carry out what users want of jobs: cancel, pause, resume."""
        while True:
            heard = self._bell.rings
            async with self._database.read() as connection:
                unsettled = await jobs.unsettled(connection)
            for job in unsettled:
                target = _towards(job.desired, job.status)
                async with self._database.write() as connection:
                    moved = await jobs.move(
                        connection, job.id, target, attempt=job.attempt, leaving=[job.status]
                    )
                    if moved and target == "cancelled":
                        await publisher.settle_unfinished(connection, job, CANCELLED)
                if moved and target in LIVE:
                    runner.release(job.id)
                datagrams.tell(job.id)
                self._bell.ring()
            await self._bell.wait(heard)

    async def _claim(self, kinds: Sequence[str]) -> Row[Any] | None:
        async with self._database.write() as connection:
            return await jobs.claim(connection, kinds)

    async def _train_threads(self) -> int:
        async with self._database.read() as connection:
            serving = await deployments.count(connection) > 0
        return self._settings.train_threads(serving=serving)

    async def _drain(
        self,
        runner: JobRunner,
        api: Sequence["asyncio.Task[None]"],
        lanes: Sequence["asyncio.Task[None]"],
    ) -> None:
        """Let accepted requests be answered and jobs be saved, within the drain time."""
        logger.info("draining")
        self._draining = True
        self._bell.ring()
        runner.release_all()
        self._workers.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.unready_seconds + self._settings.drain_seconds
        _, late = await asyncio.wait(api, timeout=until - loop.time())
        # Nobody answers there any more: whoever connects now is refused, not left waiting.
        self._listener.close()
        _, unsaved = await asyncio.wait(lanes, timeout=max(0.0, until - loop.time()))
        late |= unsaved
        for task in late:
            task.cancel()
        self._workers.kill()
        await asyncio.gather(*late, return_exceptions=True)

    def _on_stop_signal(self) -> None:
        if self._stop.is_set():
            logger.warning("stopped at once")
            os._exit(1)  # a second signal: children die with their parent
        self._stop.set()

    def _keep(self, part: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        """Run a part of the service; its unexpected end stops the service, loudly.

        A database that fails for a while is waited for: every part reads anew where it stands.
        """

        async def persist() -> None:
            while True:
                try:
                    return await part()
                except FAILURES:
                    logger.exception("the database failed; again in %g s", DATABASE_SECONDS)
                    await asyncio.sleep(DATABASE_SECONDS)

        task = asyncio.create_task(persist())
        task.add_done_callback(self._on_part_done)
        return task

    def _on_part_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            logger.error("a part of the service failed", exc_info=task.exception())
            self.failed = True
            self._stop.set()

    def _slot(self, device: str) -> Slot:
        return Slot(
            device,
            self._nursery,
            self._settings.log_dir,
            threads=self._settings.thread_count,
            warm=self._settings.spares > 0,
        )


def _after_a_lost_life(status: str) -> JobStatus:
    if status == "running":
        return "queued"
    return "paused" if status == "pausing" else "cancelled"


def _towards(desired: str, status: str) -> JobStatus:
    if desired == "cancel":
        return "cancelled" if status in ("queued", "paused") else "cancelling"
    return "pausing" if desired == "pause" else "queued"
