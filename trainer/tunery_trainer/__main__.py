"""The child program: one spec in, events out.

    python -m tunery_trainer SPEC.json      do as the spec says: ingest, train, evaluate, serve …
    python -m tunery_trainer --spare        import what training needs, then wait for a spec
    python -m tunery_trainer check SPEC.json    say what an ingest would; keep nothing (check.py)
    python -m tunery_trainer doctor             say what this machine has, as JSON (doctor.py)

Events are JSON lines on stdout; what else is printed goes to stderr, the log. stdin is the leash
(protocol/leash.py): its end means finish the step, save, exit; Ctrl-C means the same. By hand, in
a terminal, nothing is needed; without one, keep stdin open: `sleep infinity | python -m ...`.
`check` and `doctor` are no children and leave stdin alone.

Exit codes: 0 done; 1 given up, after the event Failed; 2 wrong arguments; 70 a fault, worth another
try; 130 interrupted where there was nothing to save. Owns the process: its environment, its
confinement, its output.
"""

import errno
import faulthandler
import importlib
import io
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import msgspec

from tunery_trainer.failure import Failure, Refusal
from tunery_trainer.memory import is_out_of_memory
from tunery_trainer.protocol.events import Failed, Listening, Started
from tunery_trainer.protocol.leash import Leash, die_with_parent
from tunery_trainer.protocol.specs import (
    AnyRun,
    CheckRun,
    EngineRun,
    EvaluateRun,
    FinetuneRun,
    IngestRun,
    LabelIssuesRun,
    ReaderRun,
)

GIVEN_UP, USAGE, FAULT, INTERRUPTED = 1, 2, 70, 130  # 70: sysexits.h; 130: as a shell has it

_ALWAYS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "USE_HUB_KERNELS": "0",  # its map has entries with trust_remote_code
    "TOKENIZERS_PARALLELISM": "false",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # a thread that would not be confined
}
_SPARE_IMPORTS = ("torch", "transformers", "accelerate", "datasets", "tunery_trainer.train")


def main(arguments: list[str]) -> int:
    """Run a child; return its exit code."""
    die_with_parent()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # a supervisor asks where it stands
    emit = Emitter()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("tunery_trainer").setLevel(logging.INFO)
    os.environ.update(_ALWAYS)
    try:
        match arguments:
            case ["--spare"]:
                path = _wait_as_spare(emit)
                return 0 if path is None else _run(path, emit)
            case ["check", path]:
                from tunery_trainer import check

                return check.run(msgspec.json.decode(Path(path).read_bytes(), type=CheckRun), emit)
            case ["doctor"]:
                from tunery_trainer import doctor

                emit(doctor.examine())
                return 0
            case ["doctor", "seal" | "torch" as part]:
                from tunery_trainer import doctor

                emit(doctor.PARTS[part]())
                return 0
            case [path] if path != "check" and not path.startswith("-"):
                return _run(Path(path), emit)
            case _:
                print(__doc__, file=sys.stderr)  # noqa: T201 - to whoever called it by hand
                return USAGE
    except (Failure, Refusal) as failure:
        emit(Failed(code=failure.code, message=failure.message))
        return GIVEN_UP
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        failed = _named(error)
        if failed is None:
            return FAULT
        emit(failed)
        return GIVEN_UP


def _named(error: Exception) -> Failed | None:
    """Return what ended the child by a problem's code, where another try would end alike."""
    if is_out_of_memory(error):
        return Failed(code="out-of-memory", message=str(error) or "memory ran out")
    # safetensors wraps what the system says in an error of its own.
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or os.strerror(errno.ENOSPC) in str(error):
        return Failed(code="insufficient-storage", message=str(error))
    return None


class Emitter:
    """Writes events to what was stdout; from now on stray prints go to the log."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def __call__(self, event: msgspec.Struct) -> None:
        """Write one event as one line, at once; safe from any thread."""
        line = memoryview(msgspec.json.encode(event) + b"\n")
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


def _run(path: Path, emit: Emitter) -> int:
    spec = msgspec.json.decode(path.read_bytes(), type=AnyRun)
    _settle_in(spec)
    from tunery_trainer.confine import confine_to

    seal = confine_to(spec)
    released = threading.Event()
    signal.signal(signal.SIGINT, lambda _signal, _frame: released.set())
    # Unbuffered: at exit the leash's thread would still hold the lock of a buffered one.
    Leash(io.FileIO(0, closefd=False), on_release=released.set)
    emit(Started(seal=seal))
    _dispatch(spec, emit, released, seal)
    return 0


def _dispatch(spec: AnyRun, emit: Emitter, released: threading.Event, seal: str) -> None:
    match spec:
        case IngestRun():
            from tunery_trainer.ingest import program as ingest

            ingest.run(spec, emit, released.is_set)
        case FinetuneRun():
            from tunery_trainer import dry_run, train

            program = dry_run if spec.dry_run else train
            program.run(spec, emit, released.is_set, seal=seal)
        case EvaluateRun():
            from tunery_trainer.evaluate import program as evaluate

            evaluate.run(spec, emit, released.is_set)
        case LabelIssuesRun():
            from tunery_trainer.label_issues import program as label_issues

            label_issues.run(spec, emit, released.is_set)
        case EngineRun():
            import_engine().run(spec, emit, released)
        case ReaderRun():
            from tunery_trainer import reader

            reader.run(spec, emit, released)


def import_engine() -> ModuleType:
    """Return the engine's module; no thread comes with it, as one would not be confined."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its threads start with the import of numpy
    from tunery_trainer import engine

    return engine


def _settle_in(spec: AnyRun) -> None:
    """Point what libraries write without being asked below the work directory."""
    home = Path(spec.work_dir, "home").absolute()
    temporary = home / "tmp"
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.update(HOME=str(home), HF_HOME=str(home / "hf"), TMPDIR=str(temporary))
    tempfile.tempdir = None  # forget what was found before
    if not isinstance(spec, IngestRun | ReaderRun):
        os.environ["OMP_NUM_THREADS"] = str(spec.threads)


def _wait_as_spare(emit: Emitter) -> Path | None:
    """Import what takes seconds, then return the path of the spec; None when none came.

    Two lines of stdin tell it: the path of its spec, and of the log that it writes from then on.

    Raises:
        RuntimeError: an import has started a thread, which could not be confined any more.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its threads start with the import of numpy
    os.environ["HF_HOME"] = os.devnull  # read at import, when the work directory is not known
    for name in _SPARE_IMPORTS:
        importlib.import_module(name)
    from tunery_trainer.confine import thread_count

    if thread_count() > 1:
        raise RuntimeError(f"{thread_count()} threads run after the imports of a spare")
    emit(Listening())
    spec, log = _line_of_stdin(), _line_of_stdin()
    if spec is None or log is None:
        return None
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    return spec


def _line_of_stdin() -> Path | None:
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):  # not a byte more: the rest is the leash
        line += byte
    return Path(os.fsdecode(line)) if byte else None


def run_and_exit() -> NoReturn:
    """Run a child as the command line says."""
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Nothing is left to do, and native libraries that are torn down while their threads run may
    # turn a success into a crash.
    os._exit(code)


if __name__ == "__main__":
    run_and_exit()
