"""The engine: one process that serves one version on a Unix socket.

Two threads: the main one owns the socket, tokenises and answers; the other one loads and computes
batches, nothing else, so that the device never waits for the wire. Long requests are tokenised in
a third, since the socket can't wait for them. Imports no torch: the runtime does where it needs to.

Run by hand: write an EngineRun as JSON, `python -m tunery_trainer SPEC.json`, then send a Load.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tunery.types import TextPair
from tunery_trainer.batching import Batches, Request, Row
from tunery_trainer.computing import compute_batches
from tunery_trainer.failure import Refusal
from tunery_trainer.loading import ServedVersion, load_version
from tunery_trainer.memory import device_bytes
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.events import ChildEvent, Listening
from tunery_trainer.protocol.figures import EngineFigures, resident_bytes
from tunery_trainer.protocol.specs import EngineRun
from tunery_trainer.socket_server import Connection, following, serve
from tunery_trainer.tasks import Encoded, Text

DRAIN_SECONDS = 10.0
_INLINE_CHARACTERS = 4_000  # about a millisecond of tokenising
_MAX_LONG_CHARACTERS = 32_000_000  # waiting to be tokenised; one request has 25,600,000 at most
_REASONS = {
    "deadline-exceeded": "the deadline passed before the texts were computed",
    "internal-error": "the runtime could not compute the texts",
}

_LoadJob = tuple[Connection, wire.Load, float]  # since when, time.monotonic()
LoadVersion = Callable[[wire.Load, EngineRun], ServedVersion]
_log = logging.getLogger(__name__)


def run(
    spec: EngineRun,
    emit: Callable[[ChildEvent], None],
    released: threading.Event,
    *,
    load: LoadVersion = load_version,
) -> None:
    """Serve until the leash is let go and what is held has been answered.

    Raises:
        RuntimeBroken: the runtime answers nothing any more; a new process is needed.
    """
    asyncio.run(Engine(spec, load).serve(lambda: emit(Listening()), released))


class Engine:
    """What the two threads share, and who is owed a reply."""

    def __init__(self, spec: EngineRun, load: LoadVersion) -> None:
        self._spec = spec
        self._load = load
        self._figures = EngineFigures()
        self._batches = Batches(
            max_queue_tokens=spec.max_queue_tokens,
            max_batch_tokens=spec.max_batch_tokens,
            figures=self._figures,
        )
        self._loads: queue.SimpleQueue[_LoadJob | None] = queue.SimpleQueue()
        self._loading = False
        self._version: ServedVersion | None = None
        self._answers: dict[tuple[Connection, int], asyncio.Task[None]] = {}
        self._long_texts = ThreadPoolExecutor(1, thread_name_prefix="long-texts")
        self._long_characters = 0
        self._retired = False
        self._retirements: list[tuple[Connection, int]] = []
        self._served = 0
        self._fault: Exception | None = None

    async def serve(self, on_listening: Callable[[], None], released: threading.Event) -> None:
        """Answer on the spec's socket; return when released and drained."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stop = asyncio.Event()
        draining = asyncio.create_task(self._drain(following(released)))
        # A daemon: a load that takes minutes must not outlive the leash.
        threading.Thread(target=self._compute, name="compute", daemon=True).start()
        try:
            await serve(Path(self._spec.socket), self, on_listening=on_listening, stop=self._stop)
        finally:
            draining.cancel()
            self._batches.close()
            self._loads.put(None)
            self._long_texts.shutdown(wait=False, cancel_futures=True)
        if self._fault is not None:
            raise self._fault

    def received(self, connection: Connection, message: wire.AnyMessage) -> None:
        """Answer a message, now or when it is computed."""
        match message:
            case wire.Predict():
                self._predict(connection, message)
            case wire.Load():
                self._accept_load(connection, message)
            case wire.Cancel():
                self._cancel(connection, message.id)
            case wire.Retire():
                self._retired = True
                connection.send(wire.Retired(id=message.id, final=False))
                self._retirements.append((connection, message.id))
                self._report_drained()
            case wire.Ping():
                connection.send(self._pong(message.id))
            case _:
                self._refuse(connection, message.id, "bad-request", "that is for the reader")

    def disconnected(self, connection: Connection) -> None:
        """Cancel what a peer that has gone was waiting for."""
        for peer, number in list(self._answers):
            if peer is connection:
                self._cancel(connection, number)

    def _pong(self, number: int) -> wire.Pong:
        return wire.Pong(
            id=number,
            held_tokens=self._batches.held_tokens,
            served=self._served,
            oldest_seconds=self._batches.oldest_seconds(),
            resident_bytes=resident_bytes(),
            device_bytes=device_bytes(),
            figures=self._figures,
        )

    def _predict(self, connection: Connection, message: wire.Predict) -> None:
        key = connection, message.id
        if self._retired:
            connection.send(wire.Moved(id=message.id))
        elif self._version is None:
            self._refuse(connection, message.id, "model-loading", "the version is being loaded")
        elif key in self._answers:
            self._refuse(connection, message.id, "bad-request", f"id {message.id} still waits")
        else:
            deadline = time.monotonic() + message.timeout_ms / 1000
            self._idle.clear()
            task = self._loop.create_task(
                self._answer(connection, message, self._version, deadline)
            )
            self._answers[key] = task
            task.add_done_callback(lambda _: self._forget(key))

    async def _answer(
        self,
        connection: Connection,
        message: wire.Predict,
        version: ServedVersion,
        deadline: float,
    ) -> None:
        try:
            reply = await self._predictions(message, version, deadline)
        except Refusal as refusal:
            self._refuse(connection, message.id, refusal.code, refusal.message)
        except Exception:
            # A text that the tokenizer or the task can't take is one client's trouble.
            _log.exception("a request failed")
            self._refuse(connection, message.id, "internal-error", _REASONS["internal-error"])
        else:
            self._served += 1
            connection.send(reply)

    async def _predictions(
        self, message: wire.Predict, version: ServedVersion, deadline: float
    ) -> wire.Answered:
        labels = version.facts.labels
        if not message.inputs:
            raise Refusal("empty-batch", "there are no inputs")
        most = version.task.outputs(len(labels))
        if not 1 <= message.top_k <= most:
            raise Refusal("out-of-range", f"top_k is {message.top_k}, of {most} labels")
        # Before it is tokenised: what is refused shall cost next to nothing.
        self._batches.require_room(len(message.inputs), deadline)
        began = time.monotonic()
        encoded = await self._encode(_texts_of(message, version.facts.pairs), version)
        self._figures.tokenise_seconds.observe(time.monotonic() - began)
        if not message.truncate and any(encoded.truncated):
            row = message.first + encoded.truncated.index(True)
            most = version.facts.max_length
            raise Refusal("text-too-long", f"inputs[{row}] has more than {most} tokens")
        logits = np.stack(await self._logits(encoded, deadline))  # (texts, labels)
        predictions = version.task.predictions(logits, encoded, labels, message.top_k)
        if version.facts.abstain is not None:
            self._figures.abstained += sum(each.decision == "abstain" for each in predictions)
        return wire.Answered(
            id=message.id,
            version=version.name,
            predictions=predictions,
            held_tokens=self._batches.held_tokens,
        )

    async def _encode(self, texts: Sequence[Text], version: ServedVersion) -> Encoded:
        characters = sum(map(_characters, texts))
        if characters <= _INLINE_CHARACTERS:
            return version.encoder(texts)
        waiting = self._long_characters
        if waiting and waiting + characters > _MAX_LONG_CHARACTERS:
            raise Refusal("overloaded", f"{waiting} characters wait to be tokenised")
        self._long_characters += characters
        try:
            return await self._loop.run_in_executor(self._long_texts, version.encoder, texts)
        finally:
            self._long_characters -= characters

    async def _logits(self, encoded: Encoded, deadline: float) -> list[Row]:
        ended: asyncio.Future[str | None] = self._loop.create_future()

        def end(code: str | None) -> None:
            if not ended.done():
                ended.set_result(code)

        request = Request(encoded.ids, deadline, lambda code: self._in_loop(end, code))
        self._batches.submit(request)
        try:
            code = await ended
        finally:
            self._batches.cancel(request)
        if code is not None:
            raise Refusal(code, _REASONS[code])
        return request.rows

    def _cancel(self, connection: Connection, number: int) -> None:
        task = self._answers.get((connection, number))
        if task is not None:
            task.cancel()

    def _forget(self, key: tuple[Connection, int]) -> None:
        del self._answers[key]
        if not self._answers:
            self._idle.set()
            self._report_drained()

    def _report_drained(self) -> None:
        if self._answers:
            return
        for connection, number in self._retirements:
            connection.send(wire.Drained(id=number))
        self._retirements.clear()

    async def _drain(self, released: asyncio.Event) -> None:
        await released.wait()
        self._retired = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        self._stop.set()

    def _accept_load(self, connection: Connection, message: wire.Load) -> None:
        if self._loading or self._version is not None or self._retired:
            self._refuse(connection, message.id, "conflict", "an engine loads one version, once")
            return
        self._loading = True
        self._loads.put((connection, message, time.monotonic()))

    def _loaded(
        self, connection: Connection, message: wire.Load, version: ServedVersion, since: float
    ) -> None:
        self._version = version
        reply = wire.Loaded(
            id=message.id,
            runtime=version.runtime.name,
            precision=version.runtime.precision,
            load_ms=(time.monotonic() - since) * 1000,
            labels=version.facts.labels,
            parity=version.parity,
        )
        connection.send(reply)

    def _load_failed(self, connection: Connection, number: int, refusal: Refusal) -> None:
        self._loading = False
        self._refuse(connection, number, refusal.code, refusal.message)

    def _refuse(self, connection: Connection, number: int, code: str, message: str) -> None:
        held = self._batches.held_tokens
        connection.send(wire.Refused(id=number, code=code, message=message, held_tokens=held))

    def _compute(self) -> None:
        """Load, then compute batch after batch; the whole life of the second thread."""
        try:
            loaded = self._wait_for_version()
            if loaded is not None:
                compute_batches(self._batches, loaded.runtime, loaded.probe)
        except Exception as error:
            self._fault = error
            self._in_loop(self._stop.set)

    def _wait_for_version(self) -> ServedVersion | None:
        while (job := self._loads.get()) is not None:
            connection, message, since = job
            try:
                version = self._load(message, self._spec)
            except Refusal as refusal:
                self._in_loop(self._load_failed, connection, message.id, refusal)
            except Exception as error:
                _log.exception("the version can't be loaded")
                unknown = Refusal("load-failed", f"{type(error).__name__}; see the engine's log")
                self._in_loop(self._load_failed, connection, message.id, unknown)
            else:
                self._in_loop(self._loaded, connection, message, version, since)
                return version
        return None

    def _in_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the engine has ended
            self._loop.call_soon_threadsafe(callback, *arguments)


def _texts_of(message: wire.Predict, pairs: bool) -> list[Text]:
    """Return the inputs as the tokenizer takes them.

    Raises:
        Refusal: pair-mismatch, one is a pair where the model reads single texts, or the reverse.
    """
    for i, each in enumerate(message.inputs, message.first):
        if isinstance(each, TextPair) != pairs:
            kinds = ("a single text", "pairs") if pairs else ("a pair", "single texts")
            raise Refusal("pair-mismatch", f"inputs[{i}] is {kinds[0]}; the model reads {kinds[1]}")
    return [
        (each.text, each.text_pair) if isinstance(each, TextPair) else each
        for each in message.inputs
    ]


def _characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))
