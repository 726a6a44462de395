"""Engine processes: start one, load a version into it, retire it.

The supervisor's end of the engine wire. An engine serves one version for its whole life; unloading
is its exit.
"""

import asyncio
import itertools
import time
from pathlib import Path

import msgspec

from tunery_server.settings import Settings
from tunery_server.supervisor.child import Child, Nursery
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


class Engine:
    """One engine process, from its start to its exit."""

    def __init__(self, child: Child, socket: Path, work: Path) -> None:
        self.child = child
        self.socket = socket
        self.work = work
        self.loaded: wire.Loaded | None = None
        self._ids = itertools.count(1)

    async def ask(self, message: wire.AnyMessage) -> asyncio.StreamReader:
        """Send one message on a connection of its own; the reader yields its replies."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(wire.encode(message))
        await writer.drain()
        return reader

    async def load(self, target: Target) -> wire.Loaded:
        """Load a version; it has answered its canary when this returns.

        Raises:
            LoadFailed: the engine refused, or died.
        """
        reader = await self.ask(
            wire.Load(
                id=next(self._ids),
                version=target.version,
                model_dir=target.model_dir,
                manifest_sha256=target.manifest_sha256,
                runtime=target.runtime,
            )
        )
        reply = await wire.read_reply(reader)
        match reply:
            case wire.Loaded():
                self.loaded = reply
                return reply
            case wire.Refused(code=code, message=message):
                raise LoadFailed(code, message)
            case _:
                raise LoadFailed("load-failed", "the engine died while it loaded")

    async def retire(self) -> asyncio.StreamReader | None:
        """Let every later request be answered Moved; None when the engine is gone already."""
        try:
            reader = await self.ask(wire.Retire(id=next(self._ids)))
            reply = await asyncio.wait_for(wire.read_reply(reader), RETIRE_SECONDS)
        except (OSError, TimeoutError):
            self.child.kill()
            return None
        return reader if isinstance(reply, wire.Retired) else None


class EngineStarter:
    """Starts engines, each with its own directory and socket."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._numbers = itertools.count(1)

    async def start(self, owner: str, target: Target) -> Engine:
        """Start an engine and load a version into it, within the load time-out.

        Raises:
            LoadFailed: it did not come to serve; nothing of it is left.
        """
        number = next(self._numbers)
        work = self._settings.work_dir / f"engine-{number}"
        work.mkdir(parents=True, mode=0o700, exist_ok=True)
        socket = self._settings.run_dir / f"e{number}.sock"
        spec = EngineRun(
            work_dir=str(work),
            socket=str(socket),
            device=self._device(),
            threads=self._settings.thread_count,
            max_queue_tokens=self._settings.max_queue_tokens,
            max_batch_tokens=self._settings.max_batch_tokens,
            reads=[target.model_dir],
        )
        spec_path = work / "spec.json"
        spec_path.write_bytes(msgspec.json.encode(spec))
        began = time.monotonic()
        child = await self._nursery.start(
            ["tunery_trainer", str(spec_path)],
            role="engine",
            owner=owner,
            log=self._settings.log_dir / "engines" / f"{owner.replace('/', '-')}.log",
            variables={"OMP_NUM_THREADS": str(self._settings.thread_count)},
        )
        engine = Engine(child, socket, work)
        try:
            async with asyncio.timeout(self._settings.load_timeout_seconds):
                await self._listening(engine)
                loaded = await engine.load(target)
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
        return engine

    async def end(self, engine: Engine) -> None:
        """Kill an engine and remove what it had on disk."""
        engine.child.kill()
        await self.bury(engine)

    async def drain(self, engine: Engine, replies: asyncio.StreamReader | None) -> None:
        """Wait until a retired engine holds nothing, then let it exit."""
        if replies is not None:
            try:
                await asyncio.wait_for(wire.read_reply(replies), self._settings.drain_seconds)
            except (TimeoutError, OSError):
                engine.child.kill()
        await engine.child.stop(RETIRE_SECONDS)
        await self.bury(engine)

    async def bury(self, engine: Engine) -> None:
        """Reap an engine that ends, and remove what it had on disk."""
        await self._nursery.bury(engine.child)
        engine.socket.unlink(missing_ok=True)
        (engine.work / "spec.json").unlink(missing_ok=True)

    async def _listening(self, engine: Engine) -> None:
        async for event in engine.child.events():
            if isinstance(event, Listening):
                return
        raise LoadFailed("load-failed", f"the engine died: {engine.child.log_tail()[-300:]}")

    def _device(self) -> str:
        device = self._settings.device_slots[0]
        return "cuda:0" if device.startswith("cuda") else "cpu"
