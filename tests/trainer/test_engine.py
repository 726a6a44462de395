"""The engine on a real socket, with a runtime that the test holds in its hand."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.trainer.wire_client import WireClient

from tunery_trainer import engine
from tunery_trainer.failure import Refusal
from tunery_trainer.loading import ServedVersion
from tunery_trainer.model_files import ModelFacts
from tunery_trainer.protocol import events, wire
from tunery_trainer.protocol.specs import EngineRun
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.tasks.texts import Tokens

LABELS = ["ham", "spam", "eggs"]
MAX_LENGTH = 8
POISON = 13
FACTS = ModelFacts(
    task="text_classification", labels=LABELS, max_length=MAX_LENGTH, base_model="fake"
)


class FakeTask(TextClassification):
    """Words become their lengths; `slow` waits for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def encoder(self, model_dir: Path, max_length: int):
        def encode(texts: Sequence[str]) -> Tokens:
            if texts[0].startswith("slow"):
                assert self.gate.wait(20)
            if texts[0] == "untokenisable":
                raise ValueError("no")
            ids = [[len(word) for word in text.split(" ")] for text in texts]
            return Tokens(
                ids=[row[:max_length] for row in ids],
                truncated=[len(row) > max_length for row in ids],
            )

        return encode


class FakeRuntime:
    """The length of the first word chooses the label; computing waits while `gate` is clear."""

    name = "fake"
    precision = "fp32"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.computing = threading.Event()
        self.batches: list[list[int]] = []
        self.broken = False

    def logits(self, token_ids):
        self.computing.set()
        assert self.gate.wait(20)
        self.batches.append([ids[0] for ids in token_ids])
        if self.broken or any(POISON in ids for ids in token_ids):
            raise RuntimeError("device-side assert")
        logits = np.zeros((len(token_ids), len(LABELS)), dtype=np.float32)
        for row, ids in enumerate(token_ids):
            logits[row, ids[0] % len(LABELS)] = 2.0
            if ids[0] == 11:
                logits[row, 0] = np.nan
        return logits

    def hold(self) -> None:
        """Let the next batch wait."""
        self.computing.clear()
        self.gate.clear()


class Running:
    """An engine in a thread of this process."""

    def __init__(self, directory: Path, **limits: int) -> None:
        self.runtime, self.task = FakeRuntime(), FakeTask()
        self.emitted: list[events.ChildEvent] = []
        self.released = threading.Event()
        self.fault: Exception | None = None
        self.socket = directory / "e" / "engine.sock"
        self.spec = EngineRun(
            work_dir=str(directory),
            socket=str(self.socket),
            device="cpu",
            threads=1,
            max_queue_tokens=limits.get("queue", 10_000),
            max_batch_tokens=limits.get("batch", 10_000),
            reads=[],
        )
        self._listening = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._listening.wait(20)

    def load(self, message: wire.Load, spec: EngineRun) -> ServedVersion:
        if message.version == "missing":
            raise FileNotFoundError("/secret/path")
        if message.version == "corrupt":
            raise Refusal("checkpoint-corrupt", "model.safetensors is missing")
        return ServedVersion(
            name=message.version,
            facts=FACTS,
            task=self.task,
            runtime=self.runtime,
            encoder=self.task.encoder(Path(), MAX_LENGTH),
            probe=[[1]],
        )

    def end(self) -> None:
        self.released.set()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        try:
            engine.run(self.spec, self._emit, self.released, load=self.load)
        except Exception as error:
            self.fault = error

    def _emit(self, event: events.ChildEvent) -> None:
        self.emitted.append(event)
        self._listening.set()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    child = Running(tmp_path)
    yield child
    child.runtime.gate.set()
    child.task.gate.set()
    child.end()


@pytest.fixture
def client(running: Running) -> Iterator[WireClient]:
    with WireClient(running.socket) as connection:
        assert isinstance(connection.ask(load()), wire.Loaded)
        yield connection


def load(version: str = "intent/3") -> wire.Load:
    return wire.Load(id=1, version=version, model_dir="m", manifest_sha256="0", runtime="auto")


def predict(number: int, *inputs: str, **changes: int | bool) -> wire.Predict:
    fields = {"top_k": 1, "truncate": True, "timeout_ms": 20_000, **changes}
    return wire.Predict(id=number, inputs=list(inputs), **fields)


def held(client: WireClient, running: Running, number: int, *inputs: str) -> None:
    """Send a request and wait until the runtime computes it."""
    running.runtime.hold()
    client.send(predict(number, *inputs))
    assert running.runtime.computing.wait(20)


def wait_for_held(client: WireClient, tokens: int) -> None:
    """Ask until the queue is as deep."""
    deadline = time.monotonic() + 20
    while client.ask(wire.Ping(id=99)).held_tokens != tokens:
        assert time.monotonic() < deadline


def test_socket_is_the_users_alone(running):
    assert running.emitted == [events.Listening()]
    assert running.socket.stat().st_mode & 0o777 == 0o600
    assert running.socket.parent.stat().st_mode & 0o777 == 0o700


def test_load_says_what_was_loaded(running):
    with WireClient(running.socket) as client:
        reply = client.ask(load())

    assert reply == wire.Loaded(
        id=1, runtime="fake", precision="fp32", load_ms=reply.load_ms, labels=LABELS
    )


def test_prediction_before_the_load_is_refused(running):
    with WireClient(running.socket) as client:
        reply = client.ask(predict(2, "a"))

    assert (reply.id, reply.code) == (2, "model-loading")


def test_failed_load_tells_no_path_and_allows_another(running):
    with WireClient(running.socket) as client:
        missing, corrupt = client.ask(load("missing")), client.ask(load("corrupt"))
        good = client.ask(load())

    assert (missing.code, missing.message) == (
        "load-failed",
        "FileNotFoundError; see the engine's log",
    )
    assert corrupt.code == "checkpoint-corrupt"
    assert isinstance(good, wire.Loaded)


def test_second_load_is_refused(client):
    assert client.ask(load("intent/4")).code == "conflict"


def test_answers_stand_in_the_order_of_the_inputs_and_name_the_version(client):
    reply = client.ask(predict(7, "a", "aa bb", "aaa", top_k=2))

    assert (reply.id, reply.version, reply.final) == (7, "intent/3", True)
    assert [prediction.label for prediction in reply.predictions] == ["spam", "eggs", "ham"]
    assert [prediction.tokens for prediction in reply.predictions] == [1, 2, 1]
    assert [len(prediction.scores) for prediction in reply.predictions] == [2, 2, 2]


def test_request_over_several_batches_is_answered_whole(tmp_path):
    child = Running(tmp_path, batch=2)
    with WireClient(child.socket) as client:
        client.ask(load())
        reply = client.ask(predict(2, "a", "aa", "aaa", "aaaa", "aaaaa"))
    child.end()

    labels = [prediction.label for prediction in reply.predictions]
    assert labels == ["spam", "eggs", "ham", "spam", "eggs"]
    assert child.runtime.batches == [[1, 2], [3, 4], [5]]


def test_requests_that_wait_are_computed_together(running, client):
    held(client, running, 2, "a")
    with WireClient(running.socket) as other:
        client.send(predict(3, "aa"))
        other.send(predict(3, "aaa"), wire.Ping(id=4))
        assert other.receive().id == 4
        assert client.ask(wire.Ping(id=5)).id == 5
        running.runtime.gate.set()
        replies = [client.receive(), client.receive(), other.receive()]

    assert [reply.id for reply in replies] == [2, 3, 3]
    assert [sorted(batch) for batch in running.runtime.batches] == [[1], [2, 3]]


def test_truncation_is_refused_where_it_is_not_wanted(client):
    long_text = " ".join("a" * 9)

    refused = client.ask(predict(2, "a", long_text, truncate=False))
    cut = client.ask(predict(3, "a", long_text))

    assert (refused.code, refused.message) == ("text-too-long", "inputs[1] has more than 8 tokens")
    assert [prediction.truncated for prediction in cut.predictions] == [False, True]


@pytest.mark.parametrize("top_k", [0, 4])
def test_top_k_beyond_the_labels_is_refused(client, top_k):
    assert client.ask(predict(2, "a", top_k=top_k)).code == "out-of-range"


def test_empty_request_is_refused(client):
    assert client.ask(predict(2)).code == "empty-batch"


def test_poisonous_text_fails_its_own_request_only(running, client):
    held(client, running, 2, "a")
    client.send(predict(3, "aa"), predict(4, "a" * POISON), predict(5, "aaa"), wire.Ping(id=6))
    assert client.receive().id == 6
    running.runtime.gate.set()
    replies = {reply.id: reply for reply in (client.receive() for _ in range(4))}

    assert replies[4].code == "internal-error"
    assert replies[3].predictions[0].label == "eggs"
    assert replies[5].predictions[0].label == "ham"


def test_answer_that_is_not_finite_is_refused(client):
    assert client.ask(predict(2, "a" * 11)).code == "internal-error"


def test_text_that_the_tokenizer_refuses_fails_its_own_request_only(client):
    assert client.ask(predict(2, "untokenisable")).code == "internal-error"
    assert isinstance(client.ask(predict(3, "a")), wire.Answered)


def test_full_queue_is_refused_at_once(tmp_path):
    child = Running(tmp_path, queue=3)
    with WireClient(child.socket) as client:
        client.ask(load())
        held(client, child, 2, "a b")
        refused = client.ask(predict(3, "a b"))
        child.runtime.gate.set()
        answered = client.receive()
    child.end()

    assert (refused.id, refused.code, refused.held_tokens) == (3, "overloaded", 2)
    assert (answered.id, answered.held_tokens) == (2, 0)


def test_expired_request_costs_nothing(running, client):
    held(client, running, 2, "a")
    client.send(predict(3, "aa", timeout_ms=0), wire.Ping(id=4))
    assert client.receive().id == 4
    running.runtime.gate.set()
    replies = [client.receive(), client.receive()]

    assert (replies[1].id, replies[1].code) == (3, "deadline-exceeded")
    assert running.runtime.batches == [[1]]


def test_cancelled_request_costs_nothing(running, client):
    held(client, running, 2, "a")
    client.send(predict(3, "aa"), wire.Cancel(id=3), predict(4, "aaa"), wire.Ping(id=5))
    assert client.receive().id == 5
    running.runtime.gate.set()
    replies = [client.receive(), client.receive()]

    assert [reply.id for reply in replies] == [2, 4]
    assert running.runtime.batches == [[1], [3]]


def test_requests_of_a_peer_that_has_gone_cost_nothing(running, client):
    held(client, running, 2, "a")
    with WireClient(running.socket) as other:
        other.send(predict(3, "aa bb cc"))
        wait_for_held(client, 4)
    wait_for_held(client, 1)
    running.runtime.gate.set()

    assert client.receive().id == 2
    assert running.runtime.batches == [[1]]


def test_retired_engine_answers_what_it_holds_and_moves_the_rest(running, client):
    held(client, running, 2, "a")
    with WireClient(running.socket) as supervisor:
        retired = supervisor.ask(wire.Retire(id=9))
        moved = client.ask(predict(3, "aa"))
        running.runtime.gate.set()
        answered, drained = client.receive(), supervisor.receive()

    assert retired == wire.Retired(id=9, final=False)
    assert moved == wire.Moved(id=3)
    assert isinstance(answered, wire.Answered)
    assert drained == wire.Drained(id=9)


def test_idle_engine_is_drained_as_soon_as_it_is_retired(client):
    client.send(wire.Retire(id=9))

    assert [client.receive(), client.receive()] == [
        wire.Retired(id=9, final=False),
        wire.Drained(id=9),
    ]


def test_long_request_does_not_hold_up_the_socket(running, client):
    client.send(predict(2, "slow " + "a" * 5_000), predict(3, "a"))
    answered = client.receive()
    running.task.gate.set()
    late = client.receive()

    assert (answered.id, late.id) == (3, 2)


def test_engine_answers_what_it_holds_before_it_ends(running, client):
    held(client, running, 2, "a")
    running.released.set()
    while not isinstance(client.ask(predict(3)), wire.Moved):
        pass  # refused as empty until the engine has seen it
    running.runtime.gate.set()
    answered = client.receive()
    closed = client.closed_by_peer()
    running.end()

    assert (answered.id, isinstance(answered, wire.Answered)) == (2, True)
    assert closed
    assert running.fault is None


def test_engine_that_was_never_loaded_ends_with_its_leash(running):
    running.end()

    assert running.fault is None


def test_broken_runtime_ends_the_engine(tmp_path):
    child = Running(tmp_path)
    with WireClient(child.socket) as client:
        client.ask(load())
        child.runtime.broken = True
        refused = client.ask(predict(2, "a"))
        closed = client.closed_by_peer()
    child.thread.join(20)

    assert (refused.code, closed) == ("internal-error", True)
    assert str(child.fault) == "fake fails for the canary: device-side assert"


def test_garbage_closes_its_own_connection_only(running, client):
    with WireClient(running.socket) as other:
        other.socket.sendall(b"\x00\x00\x00\x02\xff\xff")
        assert other.closed_by_peer()
    with WireClient(running.socket) as other:
        other.socket.sendall(b"\xff\xff\xff\xff")
        assert other.closed_by_peer()

    assert client.ask(wire.Ping(id=2)).served == 0


def test_pong_says_what_was_done_and_what_waits(running, client):
    client.ask(predict(2, "a", "aaa b c"))
    held(client, running, 3, "aa")
    client.send(predict(4, "a b c d"))
    wait_for_held(client, 5)

    pong = client.ask(wire.Ping(id=5))
    running.runtime.gate.set()

    assert (pong.served, pong.held_tokens, pong.device_bytes) == (1, 5, 0)
    assert pong.oldest_seconds > 0
    assert pong.resident_bytes > 10 << 20
    assert (pong.figures.texts, pong.figures.tokens) == (2, 4)
    assert pong.figures.batch_texts.sum == 2
    assert pong.figures.tokenise_seconds.count == 3
    assert pong.figures.queue_seconds.count == pong.figures.forward_seconds.count == 1


def test_engine_imports_no_torch():
    script = "import json, sys, tunery_trainer.engine; print(json.dumps(list(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    heavy = {"torch", "transformers", "datasets", "sklearn", "pyarrow"}
    assert heavy.isdisjoint(json.loads(found.stdout))


def test_spec_survives_json(running):
    assert msgspec.json.decode(msgspec.json.encode(running.spec), type=EngineRun) == running.spec
