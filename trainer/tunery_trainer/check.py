"""The check program: says what an ingest would say of files, and keeps nothing.

    python -m tunery_trainer check SPEC.json    the spec is a CheckRun

A small supervisor: it starts the ordinary ingest, confined as ever, in a temporary directory
`tunery-check-*`, passes its events on, ends with Checked, and removes the directory, also when it
is interrupted or its parent dies. It opens the files, but reads nothing of them.
"""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from tunery.types import Policies, Report, SplitSpec
from tunery_trainer.failure import Failure
from tunery_trainer.protocol.events import AnyEvent, Checked, Ingested, Rejected
from tunery_trainer.protocol.leash import die_with_parent, environment_of_child
from tunery_trainer.protocol.minilm import MINILM, package_directory
from tunery_trainer.protocol.specs import CheckRun, IngestRun

_NAME = "check"  # in the place of the ids of job and dataset
_MEMORY_BYTES = 4 << 30  # what a server allows an ingest by default

_events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def run(spec: CheckRun, emit: Callable[[AnyEvent], None]) -> int:
    """Check the files of a spec; return the exit code, 0 also where they would be rejected.

    Raises:
        Failure: a file can't be read, or the ingest was killed.
        KeyboardInterrupt: the check was asked to end; only raised where nothing is left to undo.
    """
    for source in spec.files:
        _require_readable(source.path)
    stop = _Stop()
    with tempfile.TemporaryDirectory(prefix="tunery-check-") as folder:
        work_dir = Path(folder)
        child = _start(_ingest_of(spec, work_dir))
        stop.ends(child)
        outcome = _follow(child, emit)
        if stop.asked or (outcome is None and child.returncode == 0):
            raise KeyboardInterrupt
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            raise Failure("worker-lost", f"the ingest was ended by {name}; memory may have run out")
        if outcome is None:
            return child.returncode
        emit(_checked(work_dir, outcome))
        return 0


class _Stop:
    """Turns a wish to end, also the parent's death, into the end of the ingest alone.

    Nothing is raised in the middle of something, so that the directory is always removed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        die_with_parent(signal.SIGTERM)

    def ends(self, child: subprocess.Popen[bytes]) -> None:
        """Name the child to end; at once, if the wish came before."""
        self._child = child
        if self.asked:
            child.kill()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._child is not None:
            self._child.kill()


def _require_readable(path: str) -> None:
    try:
        # A pipe that nobody writes to would block an ordinary open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Failure("not-found", f"{path} does not exist") from error
    except OSError as error:
        raise Failure("bad-request", f"{path} can't be read: {error.strerror}") from error
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise Failure("bad-request", f"{path} is {kind}; name a CSV or JSONL file")


def _ingest_of(spec: CheckRun, work_dir: Path) -> IngestRun:
    model = package_directory()
    return IngestRun(
        work_dir=str(work_dir),
        job=_NAME,
        dataset=_NAME,
        task=spec.task,
        files=[
            msgspec.structs.replace(source, path=str(Path(source.path).absolute()))
            for source in spec.files
        ],
        columns=spec.columns,
        split=spec.split or SplitSpec(),
        policies=spec.policies or Policies(),
        memory_bytes=_MEMORY_BYTES,
        base_model=None if model is None else MINILM,
        tokenizer=None if model is None else str(model / "tokenizer.json"),
    )


def _start(spec: IngestRun) -> subprocess.Popen[bytes]:
    path = Path(spec.work_dir, "spec.json")
    path.write_bytes(msgspec.json.encode(spec))
    return subprocess.Popen(
        # -P: nothing is imported from the current directory.
        [sys.executable, "-P", "-m", "tunery_trainer", str(path)],
        stdin=subprocess.PIPE,  # the leash
        stdout=subprocess.PIPE,
        # Each thread of a library would count against the limit of the address space.
        env={**environment_of_child(), "OMP_NUM_THREADS": "1"},
        process_group=0,  # Ctrl-C is for this process alone
    )


def _follow(
    child: subprocess.Popen[bytes], emit: Callable[[AnyEvent], None]
) -> Ingested | Rejected | None:
    """Pass on what a child says until it has ended; return its last word, if it had one."""
    outcome: Ingested | Rejected | None = None
    with child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if not line.endswith(b"\n"):
                    break  # torn by the child's death
                event = _events.decode(line)
                if isinstance(event, Ingested | Rejected):
                    outcome = event
                else:
                    emit(event)
        except BaseException:
            child.kill()
            raise
    return outcome


def _checked(work_dir: Path, outcome: Ingested | Rejected) -> Checked:
    data = (work_dir / outcome.path / "report.json").read_bytes()
    report = msgspec.json.decode(data, type=Report)
    if isinstance(outcome, Rejected):
        return Checked(report=report, rejected=outcome.error, splits=None, fingerprint=None)
    return Checked(
        report=report, rejected=None, splits=outcome.splits, fingerprint=outcome.fingerprint
    )
