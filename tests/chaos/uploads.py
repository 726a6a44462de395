"""Uploads under kill -9: threads that upload and register, what kills meanwhile, and the audit.

Whatever was answered with 201 or 202 is written down before anything else happens; afterwards the
service must have it, and on the disk nothing more than its rows name.
"""

import base64
import contextlib
import hashlib
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.chaos.residue import Residue, job_folders, make_old, residue, rows
from tests.chaos.samples import Sample, sample
from tests.e2e import service as e2e

API, INGEST, SERVER = KINDS = ("API worker", "ingest child", "server")
CHILD_SECONDS = 8.0  # that a process of a kind is waited for
LIFE_SECONDS = 1.2  # of an ingest child, about: it is killed somewhere in it
MAX_KILLS_OF_A_JOB = 2  # the third death in a row is the job's own fault, and ends it
MAX_REFUSED_STARTS = 20
PORTS = (20_000, 30_000)  # none that a connection gets by itself: see `sheltered`
PIECE_BYTES = 64 << 10


class Outcome(msgspec.Struct, kw_only=True):
    """What was killed, what was acknowledged, and what became of it."""

    seconds: float = 0.0
    kills: Counter[str] = msgspec.field(default_factory=Counter)
    gave_up: int = 0  # times that the server ended because its workers kept dying
    refused_starts: int = 0  # because something of the life before held the port
    ready_seconds: list[float] = []
    uploads: Counter[str] = msgspec.field(default_factory=Counter)  # acknowledged, by media type
    uploaded_bytes: int = 0
    cut: int = 0  # requests without an answer
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    datasets: Counter[str] = msgspec.field(default_factory=Counter)  # acknowledged, by their end
    unacknowledged: int = 0  # files that are there, whole, and nobody was told
    lost: list[str] = []
    wrong: list[str] = []
    before: Residue | None = None  # with the last life's remains, before the last start
    after: Residue | None = None

    def line(self) -> str:
        """Return all of it as one line."""
        ready = sorted(self.ready_seconds)
        return (
            f"{self.kills.total()} kills {dict(self.kills)} in {self.seconds:.0f} s; "
            f"{self.uploads.total()} uploads acknowledged {dict(self.uploads)}, "
            f"{self.uploaded_bytes / 1e6:.0f} MB; {self.cut} requests cut, "
            f"answers {dict(self.statuses)}, {self.unacknowledged} files kept unacknowledged; "
            f"{self.datasets.total()} datasets acknowledged {dict(self.datasets)}; "
            f"lost {len(self.lost)}, wrong {len(self.wrong)}; "
            f"ready again p50 {quantile(ready, 0.5):.1f} s, p95 {quantile(ready, 0.95):.1f} s, "
            f"max {ready[-1]:.1f} s; gave up {self.gave_up} times, "
            f"{self.refused_starts} starts refused; "
            f"before the last start: {self.before}; after it: {self.after}"
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that this share of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def digest_header(sha256: str) -> str:
    """Return the Content-Digest of a hash in hex."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


class Book:
    """What was acknowledged, without its bytes; shared by the threads."""

    def __init__(self) -> None:
        self.files: dict[str, Sample] = {}
        self.datasets: dict[str, Sample] = {}
        self.outcome = Outcome()
        self._lock = threading.Lock()

    def answered(self, sent: Sample, answer: httpx.Response | None) -> str | None:
        """Write down what became of a request; return the id of what it made, if anything."""
        with self._lock:
            outcome = self.outcome
            if answer is None:
                outcome.cut += 1
                return None
            outcome.statuses[answer.status_code] += 1
            told = msgspec.structs.replace(sent, content=b"")
            if answer.status_code == 201:
                self.files[answer.json()["id"]] = told
                outcome.uploads[sent.media_type] += 1
                outcome.uploaded_bytes += len(sent.content)
            elif answer.status_code == 202:
                self.datasets[answer.json()["id"]] = told
            elif answer.status_code != 503:
                outcome.wrong.append(f"{sent.name}: {answer.status_code} {answer.text}")
            return str(answer.json()["id"]) if answer.is_success else None


class Uploader:
    """One thread's uploads and registrations, until it is told to stop."""

    def __init__(self, service: e2e.Service, book: Book, stop: threading.Event, *, seed: int):
        self._service = service
        self._book = book
        self._stop = stop
        self._chance = random.Random(seed)
        self._seed = seed
        self._made = 0
        self._unsettled: list[str] = []

    def run(self) -> None:
        """Upload; register one in three, as long as few of them wait."""
        with self._service.client() as client:
            while not self._stop.is_set():
                self._made += 1
                sent = sample(self._chance, f"s{self._seed}-{self._made}")
                file_id = self._book.answered(sent, self._upload(client, sent))
                if file_id is None:
                    self._stop.wait(0.1)  # nobody may be there
                    continue
                self._look(client)
                if len(self._unsettled) < 2 and self._chance.random() < 0.35:
                    body = {"name": sent.name, "file": file_id}
                    answer = answer_of(client, "POST", "/datasets", json=body)
                    made = self._book.answered(sent, answer)
                    self._unsettled += [made] if made else []
                self._stop.wait(self._chance.uniform(0.0, 0.8))

    def _upload(self, client: httpx.Client, sent: Sample) -> httpx.Response | None:
        """Send a file in pieces with breaks between them, so that a kill may fall in there."""
        slow = self._chance.random() < 0.5

        def pieces() -> Any:
            for start in range(0, len(sent.content), PIECE_BYTES):
                yield sent.content[start : start + PIECE_BYTES]
                if slow:
                    time.sleep(0.02)

        headers = {
            "Content-Type": sent.media_type,
            "Content-Length": str(len(sent.content)),
            "Content-Digest": digest_header(sent.sha256),
        }
        return answer_of(
            client, "POST", "/files", params={"name": sent.name}, content=pieces(), headers=headers
        )

    def _look(self, client: httpx.Client) -> None:
        for dataset_id in list(self._unsettled):
            answer = answer_of(client, "GET", f"/datasets/{dataset_id}")
            if answer is not None and answer.status_code == 200:
                if answer.json()["status"] != "validating":
                    self._unsettled.remove(dataset_id)
            elif answer is not None and answer.status_code == 404:
                self._unsettled.remove(dataset_id)  # the audit will say so


def answer_of(client: httpx.Client, method: str, path: str, **options: Any) -> Any:
    """Return an answer, or None where the connection was lost."""
    try:
        return client.request(method, path, **options)
    except httpx.HTTPError:
        return None


class Killer:
    """Ends processes of one service at random moments."""

    def __init__(
        self,
        service: e2e.Service,
        outcome: Outcome,
        chance: random.Random,
        max_pause_seconds: float,
    ) -> None:
        self._service = service
        self._outcome = outcome
        self._chance = chance
        self._max_pause_seconds = max_pause_seconds
        self._of_job: Counter[str] = Counter()

    def strike(self, kind: str) -> None:
        """Kill one process of a kind, or another one where there is none of it in time."""
        self.pause()
        self._expect_alive()
        if kind == INGEST and self._ingest():
            return
        if kind != SERVER and self._api():
            return
        self.kill_server()
        self.restart()

    def pause(self) -> None:
        """Let uploads go on for a while."""
        time.sleep(self._chance.uniform(0.0, self._max_pause_seconds))

    def kill_server(self) -> None:
        """Kill the supervisor."""
        self._service.kill()
        self._outcome.kills[SERVER] += 1

    def restart(self) -> None:
        """Start the server until it is ready, as its operator does, and take the time."""
        began = time.monotonic()
        while not self._is_started():
            assert "Address already in use" in self._service.log()[-200:], self._service.log()
            self._outcome.refused_starts += 1
            assert self._outcome.refused_starts < MAX_REFUSED_STARTS, self._service.log()
        self._outcome.ready_seconds.append(time.monotonic() - began)

    def _is_started(self) -> bool:
        self._service.launch()
        process = self._service.process
        assert process is not None
        e2e.wait_until(
            lambda: process.poll() is not None or self._service.is_ready(),
            "the service is ready",
            self._service.log,
        )
        return process.poll() is None

    def _ingest(self) -> bool:
        deadline = time.monotonic() + CHILD_SECONDS
        seen = {pid for pid, _, _ in self._children("job")}
        while time.monotonic() < deadline:
            # A new one, so that the moment is anywhere in its life.
            new = [each for each in self._children("job") if each[0] not in seen]
            new = [each for each in new if self._of_job[each[2]] < MAX_KILLS_OF_A_JOB]
            if new:
                pid, _, job = new[0]
                time.sleep(self._chance.uniform(0.0, LIFE_SECONDS))
                if self._kill(pid, INGEST):
                    self._of_job[job] += 1
                    return True
                seen.add(pid)
            time.sleep(0.02)
        return False

    def _api(self) -> bool:
        deadline = time.monotonic() + CHILD_SECONDS
        while time.monotonic() < deadline:  # the one before may just be replaced
            workers = self._children("api")
            if workers and self._kill(self._chance.choice(workers)[0], API):
                return True
            time.sleep(0.02)
        return False

    def _children(self, role: str) -> list[tuple[int, str, str]]:
        try:
            return self._service.processes(role)
        except sqlite3.OperationalError:  # the database is being made
            return []

    def _kill(self, pid: int, kind: str) -> bool:
        """Kill a process if it is, without doubt, a child of this service."""
        assert self._service.process is not None
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            if parent_of(pid) != self._service.process.pid:
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        self._outcome.kills[kind] += 1
        return True

    def _expect_alive(self) -> None:
        """Start the server again, as its operator would, if its workers died too often for it."""
        assert self._service.process is not None
        if self._service.process.poll() is not None:
            assert "WorkersKeepDying" in self._service.log(), self._service.log()
            self._outcome.gave_up += 1
            self.restart()


def parent_of(pid: int) -> int | None:
    """Return the parent of a process that runs; None of one that has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent)


def sheltered(service: e2e.Service) -> e2e.Service:
    """Give a service a port that no connection gets by itself while the server is down.

    A client that knocks at a port of the ephemeral range may be given this very port as its own:
    then it talks to itself, and the server finds its address in use.
    """
    while True:
        service.port = random.randrange(*PORTS)
        service.url = f"http://127.0.0.1:{service.port}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", service.port))
            return service


@contextlib.contextmanager
def running(data_dir: Path) -> Iterator[e2e.Service]:
    """Run a service that can be killed and started again, for the length of a block."""
    service = sheltered(e2e.Service(data_dir, devices="none"))
    service.start()
    try:
        yield service
    finally:
        assert service.process is not None
        if service.process.poll() is None:
            service.stop()


def storm(
    service: e2e.Service,
    *,
    kills: int,
    seed: int,
    max_pause_seconds: float,
    kinds: Sequence[str] = KINDS,
    threads: int = 4,
) -> Outcome:
    """Kill so often while threads upload; return what the audit found after the last start.

    The kinds come in random order, each as often as it is named; the last kill is the server's.
    Before the last start everything on the disk is made to look old: what no row names is given
    an hour.
    """
    chance = random.Random(seed)
    order = [kinds[i % len(kinds)] for i in range(kills - 1)]
    chance.shuffle(order)
    book, stop = Book(), threading.Event()
    outcome = book.outcome
    killer = Killer(service, outcome, chance, max_pause_seconds)
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        uploaders = [
            Uploader(service, book, stop, seed=seed * 100 + number) for number in range(threads)
        ]
        running = [pool.submit(each.run) for each in uploaders]
        try:
            for kind in order:
                killer.strike(kind)
            killer.pause()
            killer.kill_server()
        finally:
            stop.set()
        for each in running:
            each.result()
    outcome.before = residue(service.data_dir)
    make_old(service.data_dir)
    killer.restart()
    audit(service, book)
    outcome.seconds = time.monotonic() - began
    return outcome


def audit(service: e2e.Service, book: Book) -> None:
    """Compare what was acknowledged with what the service has, once it is idle."""
    outcome = book.outcome
    with service.client() as client:
        for dataset_id, sent in book.datasets.items():
            _audit_dataset(client, dataset_id, sent, outcome)
        for file_id, sent in book.files.items():
            answer = client.get(f"/files/{file_id}")
            if answer.status_code != 200:
                outcome.lost.append(f"{file_id} {sent.name}: {answer.status_code}")
            elif answer.json()["sha256"] != sent.sha256:
                outcome.wrong.append(f"{file_id} {sent.name}: {answer.json()['sha256']}")
    e2e.wait_until(lambda: _is_idle(service.data_dir), "no job is left", service.log)
    stored = rows(service.data_dir, "SELECT id, sha256 FROM files")
    outcome.unacknowledged = len(stored) - len(book.files)
    for file_id, sha256 in stored:
        blob = service.data_dir / "artifacts" / "files" / sha256
        found = hashlib.sha256(blob.read_bytes()).hexdigest() if blob.exists() else "no blob"
        if found != sha256:
            outcome.lost.append(f"the bytes of {file_id}: {found}")
    outcome.after = residue(service.data_dir)


def _audit_dataset(client: httpx.Client, dataset_id: str, sent: Sample, outcome: Outcome) -> None:
    if client.get(f"/datasets/{dataset_id}").status_code != 200:
        outcome.lost.append(f"{dataset_id} of {sent.name}")
        return
    path = f"/datasets/{dataset_id}"
    made = e2e.wait_for(client, path, lambda body: body["status"] != "validating")
    outcome.datasets[made["status"]] += 1
    code = (made["error"] or {}).get("code")
    count = sum((made["splits"] or {}).values())
    if code != sent.error or (code is None and count != sent.rows):
        outcome.lost.append(
            f"{dataset_id} of {sent.name}: {made['status']} {code}, {count} of {sent.rows} rows"
        )


def _is_idle(data_dir: Path) -> bool:
    ((waiting,),) = rows(data_dir, "SELECT count(*) FROM jobs WHERE finished_at IS NULL")
    return bool(waiting == 0 and not job_folders(data_dir))
