"""Uploads at full counts: under kill -9, and as large as they get while predictions run."""

import asyncio
import contextlib
import hashlib
import http.client
import io
import re
import select
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.chaos.residue import residue, rows
from tests.chaos.uploads import digest_header, quantile, running, storm
from tests.e2e import bad_datasets as bad
from tests.e2e import load
from tests.e2e import service as e2e
from tests.e2e.conftest import QUICK
from tests.e2e.test_swap import client_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

CLIENTS = 4  # that predict all the time
LULL_SECONDS = 4.0  # of predictions before each case, and at least during it
SAMPLE_SECONDS = 0.05
API_ROOM_KB = 32 << 10  # that the API worker may grow by, whatever is sent to it
LINE_ROOM_KB = 32 << 10  # that a line of 500 MB may take in the ingest child
BOMB_KB = 512 << 10  # that a bomb may take there
INGEST_KB = 4 << 20  # that nothing may exceed there: ingest_memory_bytes
CELL = "x" * 1000
PIECE = 1 << 20
SMALL_LIMIT = 64 << 20  # of the service whose limit a chunked body exceeds
SOCKET_ROOM = 16 << 20  # that kernels may hold of a body which nobody reads
LARGE = 1_000_000_000


def test_200_kills_under_uploads_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "d") as service:
        outcome = storm(service, kills=200, seed=2, max_pause_seconds=1.5)

    print(outcome.line())
    for each in [*outcome.lost, *outcome.wrong][:50]:
        print(each)
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert (outcome.kills.total(), outcome.refused_starts) == (200, 0)
    assert outcome.after is not None
    assert outcome.after.total == 0
    shutil.rmtree(tmp_path / "d")  # hundreds of megabytes


@dataclass
class Seen:
    """What was measured while something large was sent."""

    answer: str = ""  # to what was sent, or the dataset's error
    seconds: float = 0.0
    child_kb: int = 0  # the ingest child's peak
    api_kb: int = 0  # what the API worker's peak is above what it had before
    lull: load.Outcome = field(default_factory=load.Outcome)
    busy: load.Outcome = field(default_factory=load.Outcome)

    def line(self, what: str) -> str:
        """Return it as one line."""
        lull, busy = sorted(self.lull.latencies), sorted(self.busy.latencies)
        return (
            f"{what}: {self.answer} in {self.seconds:.1f} s, "
            f"ingest child {self.child_kb / 1024:.0f} MiB, "
            f"API worker +{self.api_kb / 1024:.1f} MiB, predictions p99 "
            f"{1000 * quantile(busy, 0.99):.0f} ms beside it and "
            f"{1000 * quantile(lull, 0.99):.0f} ms without it "
            f"({len(busy) / max(self.seconds, LULL_SECONDS):.0f} and "
            f"{len(lull) / LULL_SECONDS:.0f} a second), {self.busy.failed} failed"
        )


class Bench:
    """A service that predicts, and what is sent to it meanwhile."""

    def __init__(self, service: e2e.Service, client: httpx.Client, version: str) -> None:
        self.service = service
        self.client = client
        e2e.deployed(self.client, "intent", version)
        self.golden = asyncio.run(self._golden())
        self._made: list[str] = []
        self.dataset_of(self.stored([bad.csv()]), "usual")  # every path has been gone once
        self.usual_kb = self.measure(
            lambda: self.dataset_of(self.stored([bad.csv()]), "usual")
        ).child_kb

    def measure(self, act: Callable[[], str]) -> Seen:
        """Predict for a while, then predict and act; nothing may be left or have been restarted."""
        ((api, _, _),) = self.service.processes("api")
        before = self._lasting()
        seen = Seen(lull=asyncio.run(self._predict(lambda: None)))
        Path(f"/proc/{api}/clear_refs").write_text("5")  # the peak begins anew
        usual = status_kb(api, "VmRSS")
        ended = threading.Event()

        def acting() -> None:
            began = time.monotonic()
            seen.answer = act()
            seen.seconds = time.monotonic() - began

        def watching() -> None:
            while not ended.wait(SAMPLE_SECONDS):
                for pid, _, _ in self.service.processes("job"):
                    seen.child_kb = max(seen.child_kb, status_kb(pid, "VmHWM"))

        watcher = threading.Thread(target=watching)
        watcher.start()
        try:
            seen.busy = asyncio.run(self._predict(acting))
        finally:
            ended.set()
            watcher.join()
        seen.api_kb = status_kb(api, "VmHWM") - usual
        assert self._lasting() == before
        self.tidy()
        assert residue(self.service.data_dir).total == 0
        return seen

    def stored(self, pieces: Iterable[bytes], media_type: str = bad.CSV, **headers: str) -> str:
        """Upload a file in pieces; return its id."""
        answer = self.client.post(
            "/files", content=iter(pieces), headers={"Content-Type": media_type, **headers}
        )
        assert answer.status_code == 201, answer.text
        self._made.append(answer.headers["Location"])
        return str(answer.json()["id"])

    def dataset_of(self, file_id: str, name: str) -> str:
        """Register a file and wait for the end of it; return its status and error code."""
        answer = self.client.post("/datasets", json={"name": name, "file": file_id})
        assert answer.status_code == 202, answer.text
        path = answer.headers["Location"]
        self._made.insert(0, path)
        e2e.ended(self.client, answer.json()["job"])
        made = self.client.get(path).json()
        if made["status"] == "ready":
            return "ready"
        self._expect_no_split(made["id"])
        return f"{made['status']} {made['error']['code']}"

    def tidy(self) -> None:
        """Delete what was made: datasets first."""
        for path in self._made:
            assert self.client.delete(path).status_code == 204
        self._made.clear()

    def _expect_no_split(self, dataset_id: str) -> None:
        ((artifact,),) = rows(
            self.service.data_dir, f"SELECT artifact FROM datasets WHERE id = '{dataset_id}'"
        )
        kept = {path.name for path in (self.service.data_dir / "artifacts" / artifact).iterdir()}
        assert kept == {"report.json", "findings.ndjson", "manifest.json"}

    def _lasting(self) -> set[tuple[int, str]]:
        return {(pid, role) for pid, role, _ in self.service.processes() if role != "job"}

    async def _golden(self) -> load.Golden:
        async with client_of(self.service) as client:
            return await load.golden_answers(client, "intent")

    async def _predict(self, act: Callable[[], None]) -> load.Outcome:
        async def meanwhile(_: Callable[[str | None], None]) -> None:
            await asyncio.gather(asyncio.to_thread(act), asyncio.sleep(LULL_SECONDS))

        async with client_of(self.service) as client:
            outcome = await load.under_load(
                client, "intent", self.golden, meanwhile, clients=CLIENTS
            )
        assert (outcome.failed, outcome.wrong) == (0, [])
        return outcome


def status_kb(pid: int, name: str) -> int:
    """Return a figure of a process's memory, or 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found.group(1)) if found else 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a service with the limits that it has by itself."""
    data_dir = tmp_path_factory.mktemp("l") / "d"
    with e2e.running(data_dir) as service, service.client() as client:
        tickets = e2e.dataset(client)
        job = e2e.finetune(client, tickets["id"], hyperparameters=QUICK)
        yield Bench(service, client, e2e.ended(client, job["id"])["result"]["version"])


@dataclass(frozen=True)
class Bomb:
    """A small Parquet file that decodes to 5 GB."""

    content: Callable[[], bytes]
    child_kb: int = BOMB_KB


# Where the footer is honest, nothing is decoded. Where it lies, a page is decoded before its size
# is known, and then the limit of the ingest child's memory is what holds.
BOMBS = {
    "dictionary": Bomb(lambda: bad.bomb(CELL, 5_000_000)),
    "plain": Bomb(lambda: plain_bomb(CELL, 50_000, groups=100)),
    "plain, its footer lies": Bomb(lambda: with_lies(plain_bomb(CELL, 50_000, groups=100))),
    "plain, its footer lies, pages of 500 MB": Bomb(
        lambda: with_lies(plain_bomb(CELL, 500_000, groups=10)), INGEST_KB
    ),
    "plain, its footer lies, cells of 500 MB": Bomb(
        lambda: with_lies(plain_bomb("x" * 500_000_000, 2, groups=5)), INGEST_KB
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_parquet_bomb_of_5_gb_is_refused(bench: Bench, kind: str) -> None:
    content = BOMBS[kind].content()
    assert len(content) < PIECE

    seen = bench.measure(lambda: bench.dataset_of(bench.stored([content], bad.PARQUET), "bomb"))

    print(seen.line(f"Parquet bomb ({kind}), {len(content):,} B"))
    assert seen.answer == "rejected decoded-too-large"
    assert seen.child_kb <= BOMBS[kind].child_kb
    assert seen.api_kb <= API_ROOM_KB


def test_a_line_of_500_mb_is_refused_in_little_memory(bench: Bench) -> None:
    def act() -> str:
        return bench.dataset_of(bench.stored(b"x" * PIECE for _ in range(500)), "line")

    seen = bench.measure(act)

    print(seen.line("a line of 500 MiB"))
    assert seen.answer == "rejected line-too-large"
    assert seen.child_kb <= bench.usual_kb + LINE_ROOM_KB
    assert seen.api_kb <= API_ROOM_KB


def test_a_declared_body_of_10_gb_is_refused_before_it_is_read(bench: Bench) -> None:
    refused = 0

    def act() -> str:
        nonlocal refused
        answers = set()
        deadline = time.monotonic() + LULL_SECONDS
        while time.monotonic() < deadline:
            connection = begun(bench, **{"Content-Length": "10000000000"})
            answers.add(said(connection.getresponse()))
            connection.close()
            refused += 1
        return ", ".join(answers)

    seen = bench.measure(act)

    print(seen.line(f"10 GB declared, {refused} times"))
    assert seen.answer == "413 body-too-large close"
    assert seen.api_kb <= API_ROOM_KB


def test_a_chunked_body_is_refused_at_the_limit(bench: Bench, tmp_path: Path) -> None:
    data_dir = e2e.copied(bench.service, tmp_path / "d")
    version = rows(data_dir, "SELECT model || '/' || number FROM versions")[0][0]
    sent = 0

    def act() -> str:
        nonlocal sent
        connection = begun(limited, **{"Transfer-Encoding": "chunked"})
        chunk = b"%x\r\n" % PIECE + b"x" * PIECE + b"\r\n"
        # Until there is an answer; nobody reads any more then.
        with contextlib.suppress(ConnectionError):
            while sent < 10 * SMALL_LIMIT and not select.select([connection.sock], [], [], 0)[0]:
                connection.send(chunk)
                sent += PIECE
        answer = said(connection.getresponse())
        connection.close()
        return answer

    with (
        e2e.running(data_dir, devices="none", max_upload_bytes=SMALL_LIMIT) as service,
        service.client() as client,
    ):
        limited = Bench(service, client, version)
        seen = limited.measure(act)

    print(seen.line(f"chunked beyond {SMALL_LIMIT >> 20} MiB, {sent >> 20} MiB sent"))
    assert seen.answer == "413 body-too-large close"
    assert SMALL_LIMIT < sent <= SMALL_LIMIT + SOCKET_ROOM
    assert seen.api_kb <= API_ROOM_KB


def test_an_upload_of_1_gb_leaves_the_api_worker_small(bench: Bench) -> None:
    line = b"where is my parcel,delivery\n"
    piece = line * (PIECE // len(line))
    whole, rest = divmod(LARGE, len(piece))

    def pieces() -> Iterator[bytes]:
        for _ in range(whole):
            yield piece
        yield piece[:rest]

    digest = hashlib.sha256()
    for each in pieces():
        digest.update(each)
    headers = {"Content-Length": str(LARGE), "Content-Digest": digest_header(digest.hexdigest())}

    def act() -> str:
        bench.stored(pieces(), **headers)
        return "201"

    seen = bench.measure(act)

    print(seen.line("an upload of 1 GB"))
    assert seen.api_kb <= API_ROOM_KB


def begun(bench: Bench, **headers: str) -> http.client.HTTPConnection:
    """Begin an upload; nothing of its body is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.service.port, timeout=60)
    connection.putrequest("POST", "/files")
    given = {"Content-Type": bad.CSV, "Authorization": bench.client.headers["Authorization"]}
    for name, value in {**given, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def said(raw: http.client.HTTPResponse) -> str:
    """Return an answer's status, its code and what becomes of its connection."""
    answer = httpx.Response(raw.status, headers=dict(raw.getheaders()), content=raw.read())
    body: dict[str, Any] = answer.json()
    return f"{answer.status_code} {body.get('code')} {answer.headers.get('Connection')}"


def plain_bomb(cell: str, group_rows: int, *, groups: int) -> bytes:
    """Return a small Parquet file of equal cells, each of them written out and then compressed."""
    target = io.BytesIO()
    table = pa.table(
        {
            "text": pa.array([cell] * group_rows),
            "label": pa.array(["ham", "spam"] * (group_rows // 2)).dictionary_encode(),
        }
    )
    with pq.ParquetWriter(
        target,
        table.schema,
        compression="zstd",
        use_dictionary=["label"],
        write_statistics=False,
        data_page_size=1 << 30,
        max_rows_per_page=group_rows,
    ) as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=group_rows)
    return target.getvalue()


def with_lies(content: bytes) -> bytes:
    """Return a Parquet file whose footer says that the texts of each group unpack to 1,000 bytes.

    Source: https://parquet.apache.org/docs/file-format/metadata/, Thrift's compact protocol.
    """
    truth = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0).total_uncompressed_size
    length = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - length
    told = _varint(truth)
    footer = content[start:-8].replace(told, _varint(1000, length=len(told)))
    lying = content[:start] + footer + content[-8:]
    metadata = pq.read_metadata(io.BytesIO(lying))
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert {group.column(0).total_uncompressed_size for group in groups} == {1000}
    return lying


def _varint(value: int, *, length: int = 1) -> bytes:
    """Return a number as Thrift writes it: zigzag, seven bits a byte, here padded to a length."""
    left, out = value << 1, bytearray()
    while left or len(out) < length:
        out.append(left & 127 | 128)
        left >>= 7
    out[-1] &= 127
    return bytes(out)
