"""Checking files on this machine: runs the trainer's ingest as a program and reads its events."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tunery._uploads import media_type_of
from tunery.cli.failures import CommandFailed
from tunery.cli.programs import child_environment, require, trainer_command
from tunery.cli.terminal import Terminal
from tunery.types import Columns, ErrorInfo, Policies, Progress, Report, Task

_MODULES = ("tunery_trainer", "pyarrow")


class Checked(msgspec.Struct, kw_only=True, frozen=True):
    """What the check found: of the trainer's last event, what a page shows."""

    report: Report
    rejected: ErrorInfo | None


class _Event(msgspec.Struct, kw_only=True, frozen=True):
    event: str
    progress: Progress | None = None
    report: Report | None = None
    rejected: ErrorInfo | None = None
    code: str = ""
    message: str = ""


def check_files(
    sources: Mapping[str, Path],
    task: Task,
    columns: Columns | None,
    policies: Policies,
    terminal: Terminal,
) -> Checked:
    """Return what the ingest of the service would find in these files.

    Raises:
        CommandFailed: the trainer is not installed, or could not read them.
    """
    require(
        _MODULES,
        terminal.translate(
            "this needs the trainer, which is not installed here. Install it:\n"
            "    pip install 'tunery[trainer]'"
        ),
    )
    spec = {
        "files": [
            {
                "path": str(path),
                "split": None if name == "file" else name,
                "media_type": media_type_of(path.name),
            }
            for name, path in sources.items()
        ],
        "task": task,
        "columns": columns,
        "policies": policies,
    }
    with tempfile.NamedTemporaryFile(prefix="tunery-check-", suffix=".json") as file:
        file.write(msgspec.json.encode(spec))
        file.flush()
        return _run(file.name, terminal)


def _run(spec: str, terminal: Terminal) -> Checked:
    command = trainer_command("check", spec)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=child_environment()
        )
        try:
            last = _follow(process, terminal)
        finally:
            process.terminate()
            process.wait()
        if last is not None and last.report is not None:
            return Checked(report=last.report, rejected=last.rejected)
        if last is not None and last.message:
            raise CommandFailed(f"{last.code}: {last.message}")
        log.seek(0)
        raise CommandFailed(log.read().decode(errors="replace").strip() or "the check ended")


def _follow(process: "subprocess.Popen[bytes]", terminal: Terminal) -> _Event | None:
    """Show how far the check is, and return its last event."""
    assert process.stdout is not None
    last = None
    with terminal.notes.status(terminal.translate("reading")) as shown:
        for line in process.stdout:
            last = msgspec.json.decode(line, type=_Event)
            if last.progress is not None:
                rows = f"{last.progress.step:,}"
                phase = terminal.translate(last.progress.phase)
                shown.update(terminal.translate("{phase}, {rows} rows", phase=phase, rows=rows))
    return last
