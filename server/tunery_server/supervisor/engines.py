"""Engine processes: start one, load a version into it, retire it.

The supervisor's end of the engine wire. An engine serves one version for its whole life; unloading
is its exit. What it holds of its device's memory is measured here.
"""

import asyncio
import itertools
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunery_server.settings import Settings
from tunery_server.supervisor.child import Child, Nursery, how_it_ended
from tunery_server.supervisor.ledger import READ_SECONDS, Ledger
from tunery_server.supervisor.memory import process_bytes
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.events import Listening
from tunery_trainer.protocol.specs import EngineRun

RETIRE_SECONDS = 5.0  # for the acknowledgement, which an engine gives at once


class LoadFailed(Exception):
    """A version does not serve; `code` is one of the problem table."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Target(msgspec.Struct, kw_only=True, frozen=True):
    """What an engine shall serve: `version` is how answers name it."""

    version: str
    model_dir: str
    manifest_sha256: str
    runtime: str
    precision: str
    weights_bytes: int


class Conversation:
    """One connection to an engine, and the replies that come on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, message: wire.AnyMessage) -> None:
        """Send one message."""
        self._writer.write(wire.encode(message))
        await self._writer.drain()

    async def reply(self) -> wire.AnyReply | None:
        """Return the next reply, or None when the engine is gone."""
        return await wire.read_reply(self._reader)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def converse(socket: Path, message: wire.AnyMessage) -> wire.AnyReply | None:
    """Return the one reply to one message, or None where the other end is gone.

    Raises:
        OSError: nobody listens.
    """
    conversation = Conversation(*await asyncio.open_unix_connection(str(socket)))
    try:
        await conversation.say(message)
        return await conversation.reply()
    finally:
        conversation.close()


class Engine:
    """One engine process, from its start to its exit."""

    def __init__(
        self,
        owner: str,
        child: Child,
        socket: Path,
        work: Path,
        target: Target,
        among: set["Engine"],
    ) -> None:
        self.owner = owner
        self.child = child
        self.socket = socket
        self.work = work
        self.target = target
        self.among = among  # all engines of its owner
        self.loaded: wire.Loaded | None = None
        self.loaded_at = 0.0  # time.monotonic()
        self.pong: wire.Pong | None = None  # as it answered last
        self.memory_bytes = 0  # of its device, when it was measured last
        self.retired = False
        self._served = 0  # requests, when it was looked at last

    @property
    def labels(self) -> list[str]:
        """Those of the version that it has loaded."""
        return self.loaded.labels if self.loaded else []

    async def ask(self) -> wire.Pong | None:
        """Ask how it is; None where it does not answer, as before it listens."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                reply = await converse(self.socket, wire.Ping(id=1))
        except OSError:
            return None
        if not isinstance(reply, wire.Pong):
            return None
        self.pong = reply
        return reply

    async def load(self, target: Target) -> wire.Loaded:
        """Load a version; it has answered its canary when this returns.

        Raises:
            LoadFailed: the engine refused, or died.
        """
        reply = await converse(
            self.socket,
            wire.Load(
                id=1,
                version=target.version,
                model_dir=target.model_dir,
                manifest_sha256=target.manifest_sha256,
                runtime=target.runtime,
                precision=target.precision,
            ),
        )
        match reply:
            case wire.Loaded():
                self.loaded = reply
                return reply
            case wire.Refused(code=code, message=message):
                raise LoadFailed(code, message)
            case _:
                raise LoadFailed("load-failed", "the engine died while it loaded")

    async def retire(self) -> Conversation | None:
        """Let every later request be answered Moved; None when the engine is gone already.

        The conversation goes on: its next reply says that the engine has drained.
        """
        self.retired = True
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                conversation = await self._call()
                await conversation.say(wire.Retire(id=1))
                reply = await conversation.reply()
        except (OSError, TimeoutError):
            self.child.kill()
            return None
        return conversation if isinstance(reply, wire.Retired) else None

    async def was_used(self) -> bool:
        """Return whether it has answered anything since it was looked at last, or is about to."""
        pong = await self.ask()
        if pong is None:
            return True  # too busy to say
        before, self._served = self._served, pong.served
        return pong.served != before or pong.held_tokens > 0

    async def _call(self) -> Conversation:
        return Conversation(*await asyncio.open_unix_connection(str(self.socket)))


class EngineStarter:
    """Starts engines, each with its own directory and socket."""

    def __init__(self, settings: Settings, nursery: Nursery, ledger: Ledger) -> None:
        self.ledger = ledger
        self._settings = settings
        self._nursery = nursery
        self._numbers = itertools.count(1)
        self._measured_bytes: dict[Target, int] = {}
        self._draining: set[asyncio.Task[None]] = set()

    async def start(self, owner: str, target: Target, among: set[Engine], *, niced: bool) -> Engine:
        """Start an engine and load a version into it, within the load time-out.

        From then until its end it is one of those that it is `among`. While a niced one loads,
        what serves goes first.

        Raises:
            LoadFailed: it did not come to serve; nothing of it is left.
        """
        began = time.monotonic()
        number = next(self._numbers)
        work = self._settings.work_dir / f"engine-{number}"
        # A directory of its own: an engine may write where it binds.
        socket = self._settings.run_dir / f"e{number}" / "s"
        try:
            spec = self._write_spec(target, work, socket, niced=niced)
            child = await self._nursery.start(
                ["tunery_trainer.niced" if niced else "tunery_trainer", str(spec)],
                role="engine",
                owner=owner,
                log=self._settings.log_dir / "engines" / f"{owner.replace('/', '-')}.log",
                variables={
                    "OMP_NUM_THREADS": str(self._settings.thread_count),
                    # While the cores compute, a text is tokenised sooner than a thread wakes up.
                    "TOKENIZERS_PARALLELISM": "false",
                },
            )
        except BaseException as error:
            shutil.rmtree(work, ignore_errors=True)
            if isinstance(error, OSError):
                raise LoadFailed("load-failed", f"no engine can be started: {error}") from error
            raise
        engine = Engine(owner, child, socket, work, target, among)
        self.ledger.engine_began(engine)
        try:
            async with asyncio.timeout(self._settings.load_timeout_seconds):
                await self._listening(engine)
                loaded = await engine.load(target)
                await engine.ask()
        except TimeoutError:
            await self.end(engine)
            message = f"not loaded within {self._settings.load_timeout_seconds:g} s"
            raise LoadFailed("load-timeout", message) from None
        except OSError as error:
            await self.end(engine)
            raise LoadFailed("load-failed", "the engine died while it loaded") from error
        except BaseException:
            await self.end(engine)
            raise
        load_ms = (time.monotonic() - began) * 1000
        engine.loaded = msgspec.structs.replace(loaded, load_ms=load_ms)
        engine.loaded_at = time.monotonic()
        self.measure(engine)
        among.add(engine)
        return engine

    def measure(self, engine: Engine) -> None:
        """Measure what an engine holds; where that can't be told, its weights stand for it."""
        if self._settings.engine_device == "cpu":
            held = process_bytes(engine.child.pid)
        else:
            held = engine.pong.device_bytes if engine.pong else 0
        engine.memory_bytes = held or engine.target.weights_bytes
        self._measured_bytes[engine.target] = engine.memory_bytes

    def forecast_bytes(self, target: Target) -> int:
        """Return what an engine will hold: what the last one did, else the least it can."""
        return self._measured_bytes.get(target, target.weights_bytes)

    async def end(self, engine: Engine) -> None:
        """Kill an engine and remove what it had on disk."""
        engine.child.kill()
        await self.bury(engine)

    async def retire(self, engines: Sequence[Engine]) -> list["asyncio.Task[None]"]:
        """Let engines take no more requests; return what waits for each to be gone."""
        retired = await asyncio.gather(*(engine.retire() for engine in engines))
        draining = [
            asyncio.create_task(self._drain(engine, conversation))
            for engine, conversation in zip(engines, retired, strict=True)
        ]
        self._draining.update(draining)
        for task in draining:
            task.add_done_callback(self._draining.discard)
        return draining

    async def close(self) -> None:
        """Wait until every retired engine is gone."""
        await asyncio.gather(*self._draining, return_exceptions=True)

    async def bury(self, engine: Engine) -> None:
        """Reap an engine that ends, and remove what it had on disk."""
        try:
            await self._nursery.bury(engine.child)
        finally:  # whatever the database says: it holds nothing any more
            self.ledger.engine_ended(engine)
            engine.among.discard(engine)
            shutil.rmtree(engine.socket.parent, ignore_errors=True)
            shutil.rmtree(engine.work, ignore_errors=True)

    def _write_spec(self, target: Target, work: Path, socket: Path, *, niced: bool) -> Path:
        work.mkdir(parents=True, mode=0o700, exist_ok=True)
        spec = EngineRun(
            work_dir=str(work),
            socket=str(socket),
            device=self._settings.engine_device,
            threads=self._settings.thread_count,
            max_queue_tokens=self._settings.max_queue_tokens,
            max_batch_tokens=self._settings.batch_tokens(target.precision),
            reads=[target.model_dir],
            niced=niced,
        )
        spec_path = work / "spec.json"
        spec_path.write_bytes(msgspec.json.encode(spec))
        return spec_path

    async def _drain(self, engine: Engine, retired: Conversation | None) -> None:
        """Wait until a retired engine holds nothing, then let it exit."""
        if retired is not None:
            try:
                async with asyncio.timeout(self._settings.drain_seconds):
                    await retired.reply()
                    await engine.ask()  # what it has counted, all of it
            except (TimeoutError, OSError):
                engine.child.kill()
            finally:
                retired.close()
        await engine.child.stop(RETIRE_SECONDS)
        await self.bury(engine)

    async def _listening(self, engine: Engine) -> None:
        async for event in engine.child.events():
            if isinstance(event, Listening):
                return
        how = how_it_ended(await engine.child.wait())
        last_words = engine.child.log_tail()[-300:]
        raise LoadFailed("load-failed", f"the engine ended with {how}: {last_words}".rstrip(": "))
