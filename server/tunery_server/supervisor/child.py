"""A child process: its leash, its events, its log, its end.

Started from the main thread, since PR_SET_PDEATHSIG follows the thread; in a group of its own, so
that nothing it starts outlives it.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from tunery_server.db.engine import Database
from tunery_server.db.queries import processes
from tunery_server.supervisor.proc import boot_id, start_ticks
from tunery_trainer.protocol.events import AnyEvent
from tunery_trainer.protocol.leash import PARENT_VARIABLE

MAX_EVENT_BYTES = 64 * 1024 * 1024
NICE = 10  # of trainers: serving goes first
OOM_SCORE = "500"  # of trainers: where memory ends, they do before what serves
DUMP_SECONDS = 1.0  # for a child to write down where it is
TAIL_LINES, TAIL_BYTES = 30, 16 * 1024
_NOISE = "Extension modules: "  # a line of kilobytes that faulthandler ends with
_PACKAGES = sorted((f"{folder}/" for folder in sys.path if folder), key=len, reverse=True)

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class Nursery:
    """Starts children and records them, so that the next life can end what is left of them."""

    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._database = database
        self._environment = {**environment, PARENT_VARIABLE: str(os.getpid())}

    async def spawn(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        variables: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        niced: bool = False,
    ) -> "Child":
        """Start `python -m arguments…` without recording it."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as log_file:
            log_begin = log_file.tell()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the current directory
                "-m",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log_file,
                env={**self._environment, **(variables or {})},
                pass_fds=pass_fds,
                process_group=0,
                limit=MAX_EVENT_BYTES,
            )
        if niced:
            _yield_to_serving(process.pid)
        return Child(process, log, start_ticks(process.pid), log_begin=log_begin)

    async def record(self, child: "Child", *, role: str, owner: str) -> None:
        """Record a process for the next life."""
        async with self._database.write() as connection:
            await processes.add(
                connection,
                pid=child.pid,
                start_ticks=child.start_ticks,
                boot_id=boot_id(),
                role=role,
                owner=owner,
            )

    async def start(
        self,
        arguments: Sequence[str],
        *,
        role: str,
        owner: str,
        log: Path,
        variables: Mapping[str, str] | None = None,
        niced: bool = False,
    ) -> "Child":
        """Start `python -m arguments…`; it is recorded before this returns."""
        child = await self.spawn(arguments, log=log, variables=variables, niced=niced)
        try:
            await self.record(child, role=role, owner=owner)
        except BaseException:
            child.kill()
            await child.wait()
            raise
        return child

    async def bury(self, child: "Child") -> int:
        """Wait for a child's end, end its group, forget it; return its exit code."""
        code = await child.wait()
        async with self._database.write() as connection:
            await processes.remove(connection, child.pid, child.start_ticks)
        return code


class Child:
    """A running child."""

    def __init__(
        self, process: asyncio.subprocess.Process, log: Path, ticks: int, *, log_begin: int = 0
    ) -> None:
        self._process = process
        self.log = log
        self._log_begin = log_begin
        self.start_ticks = ticks
        self.pid = process.pid
        self.let_go = False  # the supervisor has asked it to finish

    @property
    def ended(self) -> bool:
        """Whether the process has exited."""
        return self._process.returncode is not None

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Yield what the child says until it closes its end."""
        assert self._process.stdout is not None
        while (line := await self._process.stdout.readline()).endswith(b"\n"):
            yield _decoder.decode(line)  # a line without its end was torn by the child's death

    def say(self, line: str) -> None:
        """Write one line to the child's stdin: a spare's spec, a worker's go."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(f"{line}\n".encode())

    def take_up(self, spec: Path, log: Path) -> None:
        """Tell a spare its spec, and where it shall log from now on."""
        self.say(str(spec))
        self.say(str(log))
        self.log, self._log_begin = log, log.stat().st_size if log.exists() else 0

    def release(self) -> None:
        """Let go of the leash: finish the step, save, exit."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the child and its whole group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def kill_with_stack(self) -> None:
        """Have the child write to its log where it stands (faulthandler), then end it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGUSR1)
            os.kill(self.pid, signal.SIGCONT)  # a stopped one would keep it to itself
            await asyncio.sleep(DUMP_SECONDS)
        self.kill()

    async def wait(self) -> int:
        """Return the exit code; nothing of the child's group is alive afterwards."""
        code = await self._process.wait()
        self.kill()
        return code

    async def stop(self, patience_seconds: float) -> None:
        """Let go, and kill if the child has not exited in time."""
        self.release()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._process.wait()
        except TimeoutError:
            self.kill()

    def log_tail(self) -> str:
        """Return the last lines that it has logged.

        What lies in packages is named without their folder.
        """
        try:
            with self.log.open("rb") as file:
                return _tail(file, self._log_begin)
        except OSError:
            return ""


def _yield_to_serving(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
        Path(f"/proc/{pid}/oom_score_adj").write_text(OOM_SCORE)


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _tail(file: BinaryIO, begin: int) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(begin, file.tell() - TAIL_BYTES))
    text = file.read().decode(errors="replace").replace("\0", "")
    for folder in _PACKAGES:  # where this machine keeps them is nobody's business
        text = text.replace(folder, "")
    lines = [line for line in text.splitlines() if not line.startswith(_NOISE)]
    return "\n".join(lines[-TAIL_LINES:])
