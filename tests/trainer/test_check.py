"""The check program as the command line runs it: a process, its events, what it leaves behind."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunery.types import Columns, Policies, Report, SplitSpec
from tunery_trainer.confine import landlock_abi
from tunery_trainer.ingest import program as ingest
from tunery_trainer.protocol.events import (
    AnyEvent,
    Checked,
    Failed,
    Ingested,
    ProgressMade,
    Started,
)
from tunery_trainer.protocol.leash import PARENT_VARIABLE
from tunery_trainer.protocol.minilm import package_directory
from tunery_trainer.protocol.specs import CheckRun, IngestRun, SourceFile

SECONDS = 60
GOOD = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(60))
LONG = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(200_000))
_EVENTS = msgspec.json.Decoder(AnyEvent)


class Desk:
    """A user's directory with files, and a directory for temporary ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / "tmp"
        self.temporary.mkdir()

    @property
    def left_over(self) -> list[str]:
        """Return what stands where temporary directories are made."""
        return [path.name for path in self.temporary.iterdir()]

    def command(self, *files: SourceFile, **fields: Any) -> list[str]:
        """Write a spec; return the command that checks it."""
        spec = CheckRun(files=list(files), **fields)
        (self.root / "spec.json").write_bytes(msgspec.json.encode(spec))
        return [sys.executable, "-m", "tunery_trainer", "check", "spec.json"]

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in this directory."""
        environment = {**os.environ, "TMPDIR": str(self.temporary), **options.pop("env", {})}
        settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            cwd=self.root,
            env=environment,
            **{**settings, **options},
        )

    def check(self, *files: SourceFile, stdin: int = subprocess.DEVNULL, **fields: Any) -> "Told":
        """Check files to the end."""
        process = self.start(self.command(*files, **fields), stdin=stdin)
        out, log = process.communicate(timeout=SECONDS)
        return Told(process.returncode, [_EVENTS.decode(line) for line in out.splitlines()], log)


class Told:
    """What a check said."""

    def __init__(self, code: int, events: list[AnyEvent], log: bytes) -> None:
        self.code = code
        self.events = events
        self.log = log.decode()

    @property
    def checked(self) -> Checked:
        """Return the last event, which has to be Checked."""
        assert self.code == 0, self.log
        assert isinstance(self.events[-1], Checked), self.events
        return self.events[-1]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def put(desk: Desk) -> Callable[..., SourceFile]:
    """Write a CSV below the desk's directory, where the check finds it by its name."""

    def put(text: str, name: str = "rows.csv", split: str | None = None) -> SourceFile:
        (desk.root / name).write_text(text)
        return SourceFile(path=name, media_type="text/csv", split=split)

    return put


@pytest.fixture
def begun(desk: Desk, put: Callable[..., SourceFile]) -> Iterator[Callable[..., Any]]:
    """Start a check of a long file, and return the process that reads it by now."""
    started: list[subprocess.Popen[bytes]] = []

    def begun(wrap: Callable[[list[str]], list[str]] = list, **options: Any) -> Any:
        process = desk.start(wrap(desk.command(put(LONG))), **options)
        started.append(process)
        assert process.stdout is not None
        assert isinstance(_EVENTS.decode(process.stdout.readline()), Started)
        assert isinstance(_EVENTS.decode(process.stdout.readline()), ProgressMade)
        return process

    yield begun
    for process in started:
        process.kill()
        with contextlib.suppress(ValueError):
            process.communicate()


def test_good_file_is_told_with_its_splits(desk, put):
    told = desk.check(put(GOOD))

    seal = f"landlock-{landlock_abi()}" if landlock_abi() else "none"
    assert told.events[0] == Started(seal=seal)
    phases = [event.progress.phase for event in told.events if isinstance(event, ProgressMade)]
    assert phases == ["reading", "comparing", "checking", "writing"]
    assert told.checked.rejected is None
    assert sum(told.checked.splits.values()) == 60
    assert (told.checked.report.rows, told.checked.report.accepted) == (60, 60)
    assert (told.log, desk.left_over) == ("", [])


def test_check_says_what_the_ingest_says(desk, put):
    rows = GOOD + "text number 1,b\ntext number 2,b\n"
    columns, split = Columns(text="text", label="label"), SplitSpec(seed=7)
    policies = Policies(duplicates="drop", conflicts="majority")
    model = package_directory()
    assert model is not None
    spec = IngestRun(
        work_dir=str(desk.root),
        job="job_1",
        dataset="check",
        task="text_classification",
        files=[SourceFile(path=str(desk.root / "rows.csv"), media_type="text/csv")],
        columns=columns,
        split=split,
        policies=policies,
        memory_bytes=4 << 30,
        base_model="minilm-l6",
        tokenizer=str(model / "tokenizer.json"),
    )

    checked = desk.check(put(rows), columns=columns, split=split, policies=policies).checked
    events: list[AnyEvent] = []
    ingest.run(spec, events.append, lambda: False)

    written = (desk.root / "dataset" / "report.json").read_bytes()
    assert checked.report == msgspec.json.decode(written, type=Report)
    assert checked.report.duplicates.dropped == 1
    assert isinstance(events[-1], Ingested)
    assert (checked.splits, checked.fingerprint) == (events[-1].splits, events[-1].fingerprint)


def test_faults_are_told_by_line_and_are_no_failure(desk, put):
    checked = desk.check(put(GOOD + ",a\nsome text,\n")).checked

    found = [(finding.code, finding.line) for finding in checked.report.errors]
    assert found == [("empty-text", 62), ("null-label", 63)]
    assert checked.rejected.code == "empty-text"
    assert checked.rejected.message == "line 62: the text is empty (and 1 more error)"
    assert (checked.splits, checked.fingerprint, desk.left_over) == (None, None, [])


def test_leakage_between_split_files_is_told(desk, put):
    test = "text,label\nText number 4!,a\nan unseen text,b\n"

    checked = desk.check(put(GOOD, "train.csv", "train"), put(test, "test.csv", "test")).checked

    assert (checked.report.leakage.normalised, checked.report.leakage.dropped) == (1, 1)
    assert checked.report.leakage.examples[0].text == "text number 4"
    assert checked.splits["test"] == 2


def test_spec_may_leave_out_what_it_does_not_want(desk, put):
    command = desk.command(put(GOOD))
    spec = '{"files": [{"path": "rows.csv", "media_type": "text/csv"}], "split": null}'
    (desk.root / "spec.json").write_text(spec)

    out, log = desk.start(command).communicate(timeout=SECONDS)

    assert isinstance(_EVENTS.decode(out.splitlines()[-1]), Checked), log


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("nowhere.csv", "not-found", "nowhere.csv does not exist"),
        ("folder", "bad-request", "folder is a directory; name a CSV or JSONL file"),
        ("pipe", "bad-request", "pipe is no regular file; name a CSV or JSONL file"),
        ("loop", "bad-request", "loop can't be read: Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_read_is_a_failure_with_its_path(desk, name, code, message):
    (desk.root / "folder").mkdir()
    os.mkfifo(desk.root / "pipe")
    (desk.root / "loop").symlink_to("loop")

    told = desk.check(SourceFile(path=name, media_type="text/csv"))

    assert (told.code, told.events) == (1, [Failed(code=code, message=message)])
    assert (told.log, desk.left_over) == ("", [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_file_of_another_is_a_failure_with_its_path(desk, put):
    source = put(GOOD)
    (desk.root / "rows.csv").chmod(0)

    told = desk.check(source)

    assert told.events == [
        Failed(code="bad-request", message="rows.csv can't be read: Permission denied")
    ]


def test_check_by_hand_in_a_terminal(desk, put):
    keyboard, terminal = pty.openpty()
    try:
        told = desk.check(put(GOOD), stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)

    assert told.checked.report.accepted == 60


def test_modules_beside_the_data_are_not_imported_by_the_ingest(desk, put):
    (desk.root / "pyarrow.py").write_text("raise SystemExit('imported')")

    assert desk.check(put(GOOD)).checked.report.accepted == 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_check_leaves_nothing(desk, begun, number):
    process = begun(process_group=0)
    assert desk.left_over != []

    os.killpg(process.pid, number)  # as a terminal does
    _, log = process.communicate(timeout=SECONDS)

    assert (process.returncode, log, desk.left_over) == (130, b"", [])


def test_killed_check_takes_its_ingest_along_and_leaves_a_directory_with_a_clear_name(desk, begun):
    process = begun()

    process.kill()
    process.communicate(timeout=SECONDS)  # to the end of the log, which the ingest holds, too

    assert [name.rpartition("-")[0] for name in desk.left_over] == ["tunery-check"]


def test_check_whose_command_line_is_killed_leaves_nothing(desk, begun):
    script = f"""
import os, subprocess, sys
subprocess.run(sys.argv[1:], env={{**os.environ, {PARENT_VARIABLE!r}: str(os.getpid())}})
"""
    command_line = begun(lambda command: [sys.executable, "-c", script, *command])

    command_line.kill()
    command_line.communicate(timeout=SECONDS)  # to the end of what the check holds

    assert desk.left_over == []


def test_killed_ingest_is_a_failure(desk, begun):
    process = begun()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()

    os.kill(int(children), signal.SIGKILL)
    out, _ = process.communicate(timeout=SECONDS)

    message = "the ingest was ended by SIGKILL; memory may have run out"
    assert _EVENTS.decode(out.splitlines()[-1]) == Failed(code="worker-lost", message=message)
    assert (process.returncode, desk.left_over) == (1, [])
