"""The child program as the supervisor runs it: real processes, events, leash, exit codes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.trainer.wire_client import WireClient

from tunery.types import Hyperparameters, Policies, SplitSpec
from tunery_trainer.confine import landlock_abi
from tunery_trainer.protocol import manifest, wire
from tunery_trainer.protocol.events import (
    AnyEvent,
    Failed,
    Finetuned,
    Ingested,
    Interrupted,
    Listening,
    MetricLogged,
    Started,
)
from tunery_trainer.protocol.leash import PARENT_VARIABLE
from tunery_trainer.protocol.specs import (
    AnyRun,
    EngineRun,
    EvaluateRun,
    IngestRun,
    ReaderRun,
    SourceFile,
)

SEAL = f"landlock-{landlock_abi()}" if landlock_abi() else "none"
SECONDS = 60
_EVENTS = msgspec.json.Decoder(AnyEvent)


class Child:
    """A child process, its events and its log."""

    def __init__(self, *arguments: str, cwd: Path, module: str = "tunery_trainer") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
        )
        self._killer = threading.Timer(SECONDS, self.process.kill)
        self._killer.start()

    @property
    def stdin(self):
        assert self.process.stdin is not None
        return self.process.stdin

    def event(self) -> AnyEvent:
        """Wait for the next event."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        return _EVENTS.decode(line)

    def until(self, kind: type) -> AnyEvent:
        """Skip events until one of a class."""
        while not isinstance(event := self.event(), kind):
            pass
        return event

    def end(self) -> tuple[int, list[AnyEvent], str]:
        """Let the leash go and wait; return exit code, the events that were left, log."""
        out, log = self.process.communicate()
        self._killer.cancel()
        return (
            self.process.returncode,
            [_EVENTS.decode(line) for line in out.splitlines()],
            log.decode(),
        )


@pytest.fixture
def children(tmp_path: Path) -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.process.kill()
        with contextlib.suppress(ValueError, BrokenPipeError):
            child.end()


@pytest.fixture
def start(tmp_path: Path, children: list[Child]):
    def start(*arguments: str, **how: str) -> Child:
        children.append(Child(*arguments, cwd=tmp_path, **how))
        return children[-1]

    return start


def written(path: Path, spec: AnyRun) -> str:
    path.write_bytes(msgspec.json.encode(spec))
    return str(path)


def reader_spec(directory: Path) -> str:
    spec = ReaderRun(
        work_dir=str(directory / "work"),
        socket=str(directory / "s" / "r.sock"),
        base_models={},
        reads=[],
    )
    return written(directory / "spec.json", spec)


def test_ingest_ends_with_its_dataset(tmp_path, start):
    rows = [f"{word} {i},{word}\n" for i in range(30) for word in ("ham", "spam")]
    upload = tmp_path / "rows.csv"
    upload.write_text("text,label\n" + "".join(rows))
    spec = IngestRun(
        work_dir=str(tmp_path / "work"),
        job="job_1",
        dataset="ds_1",
        task="text_classification",
        files=[SourceFile(path=str(upload), media_type="text/csv")],
        columns=None,
        split=SplitSpec(),
        policies=Policies(),
        memory_bytes=4 << 30,
    )

    child = start(written(tmp_path / "spec.json", spec))
    last = child.until(Ingested)
    code, rest, log = child.end()

    assert (code, rest) == (0, []), log
    assert last.labels == ["ham", "spam"]
    manifest.verify(tmp_path / "work" / last.path, last.manifest_sha256)


def test_reader_ends_when_the_leash_is_let_go(tmp_path, start):
    child = start(reader_spec(tmp_path))

    assert child.event() == Started(seal=SEAL)
    assert child.event() == Listening()
    assert child.end() == (0, [], "")


def test_interrupt_by_hand_lets_the_leash_go(tmp_path, start):
    child = start(reader_spec(tmp_path))
    child.until(Listening)

    child.process.send_signal(signal.SIGINT)

    assert child.process.wait(SECONDS) == 0


def test_child_dies_with_its_supervisor(tmp_path):
    supervisor = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "tunery_trainer", {reader_spec(tmp_path)!r}],
                         stdin=subprocess.PIPE,
                         env={{**os.environ, {PARENT_VARIABLE!r}: str(os.getpid())}})
child.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert _EVENTS.decode(process.stdout.readline()) == Listening()

        process.kill()

        # The child held the other end: its end is the child's.
        assert process.stdout.read() == b""


def test_child_whose_supervisor_is_dead_already_does_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tunery_trainer", reader_spec(tmp_path)],
        env={**os.environ, PARENT_VARIABLE: "1"},
        capture_output=True,
        timeout=SECONDS,
    )

    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["a.json", "b.json"], ["check"], ["doctor", "x"]]
)
def test_wrong_arguments_print_the_usage(start, arguments):
    code, events, log = start(*arguments).end()

    assert (code, events) == (2, [])
    assert "python -m tunery_trainer SPEC.json" in log


def test_fault_is_worth_another_try(start, tmp_path):
    (tmp_path / "spec.json").write_text('{"kind": "reader"}')

    code, events, log = start("spec.json").end()

    assert (code, events) == (70, [])
    assert "missing required field" in log


def test_stray_prints_go_to_the_log():
    script = """
import os, subprocess
from tunery_trainer.__main__ import Emitter
from tunery_trainer.protocol.events import Listening
emit = Emitter()
print("stray", flush=True)
os.write(1, b"raw ")
emit(Listening())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=SECONDS)

    assert done.stdout == b'{"event":"listening"}\n'
    assert done.stderr == b"stray\nraw "


def test_events_of_many_threads_stay_whole_lines():
    script = """
import threading
from tunery_trainer.__main__ import Emitter
from tunery_trainer.protocol.events import WarningRaised
emit = Emitter()
event = WarningRaised(code="x", message="m" * 100_000)
threads = [threading.Thread(target=lambda: [emit(event) for _ in range(10)]) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=SECONDS)

    lines = done.stdout.splitlines()
    assert len(lines) == 40
    assert {len(_EVENTS.decode(line).message) for line in lines} == {100_000}


def test_failure_is_told_and_ends_with_one(start, tmp_path):
    (tmp_path / "version").mkdir()
    (tmp_path / "rows.parquet").write_bytes(b"")
    spec = EvaluateRun(
        work_dir=str(tmp_path / "work"),
        job="job_1",
        model_dir=str(tmp_path / "version"),
        manifest_sha256="0",
        rows=str(tmp_path / "rows.parquet"),
        runtime="auto",
        device="cpu",
        threads=1,
    )

    child = start(written(tmp_path / "spec.json", spec))
    failed = child.until(Failed)

    assert failed.code == "checkpoint-corrupt"
    assert child.end()[:2] == (1, [])


def test_spare_without_a_spec_ends_quietly(start):
    child = start("--spare")
    assert child.event() == Listening()

    assert child.end() == (0, [], "")


def test_spare_trains_confined_and_its_leash_pauses_it(bench, start, tmp_path):
    spec = bench.spec(hyperparameters=Hyperparameters(epochs=1000))
    child = start("--spare")
    child.until(Listening)

    spec_path, log_path = written(tmp_path / "spec.json", spec), tmp_path / "attempt-1.log"
    child.stdin.write(f"{spec_path}\n{log_path}\n".encode())
    child.stdin.flush()
    started = child.event()
    child.until(MetricLogged)
    code, events, log = child.end()

    assert started == Started(seal=SEAL)
    assert isinstance(events[-1], Interrupted), log
    assert code == 0


@pytest.mark.parametrize("niced", [False, True])
def test_trained_version_is_served_by_a_confined_engine(bench, start, tmp_path, niced):
    trainer = start(written(tmp_path / "train.json", bench.spec()))
    finetuned = trainer.until(Finetuned)
    assert trainer.end()[0] == 0
    version = Path(bench.spec().work_dir) / finetuned.path
    spec = EngineRun(
        work_dir=str(tmp_path / "engine"),
        socket=str(tmp_path / "s" / "e.sock"),
        device="cpu",
        threads=2,
        max_queue_tokens=10_000,
        max_batch_tokens=1_000,
        reads=[str(version)],
        niced=niced,
    )

    module = "tunery_trainer.niced" if niced else "tunery_trainer"
    engine = start(written(tmp_path / "engine.json", spec), module=module)
    assert [engine.event(), engine.event()] == [Started(seal=SEAL), Listening()]
    with WireClient(Path(spec.socket)) as client:
        loaded = client.ask(
            wire.Load(
                id=1,
                version="tiny/1",
                model_dir=str(version),
                manifest_sha256=finetuned.manifest_sha256,
                runtime="auto",
            )
        )
        before = niced_seconds(engine.process.pid)
        answered = client.ask(predict(["my card is lost", "about the loan", "why is the rate now"]))
        for _ in range(20):
            client.ask(predict(["why is the rate of my card " * 20] * 64))
        after = niced_seconds(engine.process.pid)
    code, rest, log = engine.end()

    assert isinstance(loaded, wire.Loaded), (loaded, log)
    assert before == after  # what computes does not go second
    assert bool(before) == niced  # OpenVINO keeps what it compiled in
    assert (loaded.runtime, loaded.precision) == ("openvino", "fp32")
    assert [prediction.label for prediction in answered.predictions] == ["card", "loan", "rate"]
    assert answered.version == "tiny/1"
    assert (code, rest) == (0, []), log
    assert manifest.read(version).facts["seal"] == SEAL


def predict(inputs: list[str]) -> wire.Predict:
    """Return a request for these texts."""
    return wire.Predict(id=2, inputs=inputs, top_k=3, truncate=True, timeout_ms=20_000)


def niced_seconds(pid: int) -> dict[str, float]:
    """Return how long each niced thread of a process has computed."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        niceness = int((task / "stat").read_text().rpartition(")")[2].split()[16])  # proc(5)
        if niceness > 0:
            found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found
