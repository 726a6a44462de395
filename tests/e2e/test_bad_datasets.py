"""The bad-input catalogue of datasets, row by row, against a real server.

Each input is answered with its code and harms nothing: no row, no blob, no temporary file and no
process is other than before, and no answer says more than it should.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e import bad_datasets as bad
from tests.e2e import service as e2e

TIDY_SECONDS = 1.0  # until nothing temporary is left
MAX_UPLOAD_BYTES = 1 << 51  # more than any disk holds, so that a declared length can be so, too
MAX_QUOTED = 80  # characters of the input in one text
SECRETS = ("Traceback", 'File "', "site-packages", "sqlalchemy", "SELECT ", "INSERT INTO", "/proc/")
ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class State:
    """What may not change: rows by table, events by job, blobs, processes, ETags."""

    rows: Counter[str]
    events: dict[str, int]
    blobs: frozenset[str]
    processes: frozenset[tuple[int, str]]
    etags: tuple[str, ...]


class Bench:
    """One service for all rows, a dataset that nothing may touch, and what one row has made."""

    def __init__(self, service: e2e.Service, client: httpx.Client) -> None:
        self.service = service
        self.client = client
        self.made: Counter[str] = Counter()  # rows that a case was entitled to, by table
        self._files: list[str] = []
        self._datasets: list[str] = []
        self._secrets = (client.headers["Authorization"][7:], str(service.data_dir), ROOT, *SECRETS)
        client.event_hooks = {"response": [self.inspect]}
        self.file = self.stored(bad.csv())
        self.anchor = self.register(self.file, "anchor").json()
        self._files.clear()
        self._datasets.clear()
        self.settled(self.anchor["id"])

    def upload(
        self, content: bytes, media_type: str = bad.CSV, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Upload a file."""
        sent = {"Content-Type": media_type, **(headers or {})}
        answer = self.client.post("/files", content=content, headers=sent)
        self._note(answer, self._files, sent, files=1)
        return answer

    def stored(self, content: bytes, media_type: str = bad.CSV) -> str:
        """Upload a file that is taken; return its id."""
        answer = self.upload(content, media_type)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def register(
        self,
        file: str | Mapping[str, str],
        name: str,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> httpx.Response:
        """Register a dataset."""
        source = {"file": file} if isinstance(file, str) else {"files": dict(file)}
        body = {"name": name, **source, **fields}
        answer = self.client.post("/datasets", json=body, headers=headers)
        self._note(answer, self._datasets, headers or {}, datasets=1, jobs=1)
        return answer

    def settled(self, dataset_id: str) -> dict[str, Any]:
        """Wait until a dataset is judged and its job has ended; return it."""
        path = f"/datasets/{dataset_id}"
        made = e2e.wait_for(self.client, path, lambda body: body["status"] != "validating")
        e2e.ended(self.client, made["job"])
        return made

    def judged(self, dataset_id: str) -> bad.Judged:
        """Wait until a dataset is judged; return it with its report and its texts."""
        made = self.settled(dataset_id)
        report = self.client.get(f"/datasets/{dataset_id}/report")
        assert report.status_code == 200, (made, report.text)
        texts: list[str] = []
        for split in made["splits"] or ():
            page = self.client.get(f"/datasets/{dataset_id}/rows?split={split}&limit=100").json()
            texts += [row["text"] for row in page["data"]]
        return bad.Judged(made, report.json(), texts)

    def state(self) -> State:
        """Return what may not change."""
        address = f"file:{self.service.data_dir / 'tunery.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {name for (name,) in tables} - {"processes", "job_events"}
            rows = {
                name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                for name in names
            }
            events = database.execute("SELECT job, count(*) FROM job_events GROUP BY job")
            by_job = dict(events.fetchall())
        anchors = (f"/datasets/{self.anchor['id']}", f"/jobs/{self.anchor['job']}")
        assert self.service.process is not None
        lasting = [(self.service.process.pid, "supervisor")]
        lasting += [(pid, role) for pid, role, _ in self.service.processes() if role != "job"]
        return State(
            rows=Counter(rows),
            events=by_job,
            blobs=frozenset(self._blobs()),
            processes=frozenset(each for each in lasting if e2e.alive(each[0])),
            etags=tuple(self.client.get(path).headers["ETag"] for path in anchors),
        )

    def expect_unharmed(self, before: State) -> None:
        """Compare with the state before, save for the rows that the case was entitled to."""
        e2e.wait_until(lambda: not self._temporary(), "no temporary file", seconds=TIDY_SECONDS)
        after = self.state()
        assert after.rows == before.rows + self.made
        assert after.processes == before.processes
        assert after.etags == before.etags
        assert {job: after.events.get(job) for job in before.events} == before.events
        assert len(after.events) - len(before.events) <= self.made["jobs"]
        assert before.blobs <= after.blobs
        new = after.blobs - before.blobs
        assert sum(blob.startswith("files/") for blob in new) <= self.made["files"]
        folders = {blob.split("/")[1] for blob in new if blob.startswith("datasets/")}
        assert len(folders) <= self.made["datasets"]

    def no_split_of(self, dataset_id: str) -> None:
        """Expect that a rejected dataset left its report and no rows."""
        address = f"file:{self.service.data_dir / 'tunery.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            row = database.execute("SELECT artifact FROM datasets WHERE id = ?", (dataset_id,))
            (artifact,) = row.fetchone()
        kept = {blob for blob in self._blobs() if blob.startswith(f"{artifact}/")}
        names = {"report.json", "findings.ndjson", "manifest.json"}
        assert kept == {f"{artifact}/{name}" for name in names}
        rows = self.client.get(f"/datasets/{dataset_id}/rows")
        assert (rows.status_code, rows.json()["code"]) == (409, "dataset-not-ready")

    def tidy(self) -> None:
        """Remove what a case has made."""
        datasets, files = self._datasets[:], self._files[:]
        self._datasets.clear()  # first, so that one bad answer fails one case
        self._files.clear()
        self.made.clear()
        for dataset_id in datasets:
            if self.client.get(f"/datasets/{dataset_id}").status_code == 200:
                self.settled(dataset_id)
                assert self.client.delete(f"/datasets/{dataset_id}").status_code == 204
        for file_id in files:
            self.client.delete(f"/files/{file_id}")

    def _note(
        self, answer: httpx.Response, ids: list[str], headers: Mapping[str, str], **rows: int
    ) -> None:
        if answer.is_success and "Idempotency-Replayed" not in answer.headers:
            ids.append(answer.json()["id"])
            self.made.update(rows, idempotency=int("Idempotency-Key" in headers))

    def inspect(self, response: httpx.Response) -> None:
        """Expect an answer to be no fault of the service, and to tell no secret."""
        response.read()
        assert response.status_code < 500 or response.status_code in (503, 507), response.text
        found = [secret for secret in self._secrets if secret in response.text]
        assert not found, response.text

    def _blobs(self) -> Iterator[str]:
        artifacts = self.service.data_dir / "artifacts"
        for folder, _, names in os.walk(artifacts):
            for name in names:
                blob = (Path(folder) / name).relative_to(artifacts).as_posix()
                if not blob.startswith(".incoming/"):
                    yield blob

    def _temporary(self) -> list[str]:
        incoming = self.service.data_dir / "artifacts" / ".incoming"
        work = self.service.data_dir / "work"
        left = [*incoming.iterdir(), *(path for path in work.iterdir() if "job_" in path.name)]
        return [path.name for path in left]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = {"devices": "none", "stop_seconds": 0.1, "max_upload_bytes": MAX_UPLOAD_BYTES}
    with (
        e2e.running(tmp_path_factory.mktemp("s"), **settings) as service,
        service.client() as client,
    ):
        made = Bench(service, client)
        yield made
        expect_good_to_work(made)


def known_good(bench: Bench) -> dict[str, Any]:
    """Upload and register what nothing is wrong with; return the dataset."""
    registered = bench.register(bench.stored(bad.csv()), "good")
    assert registered.status_code == 202, registered.text
    made: dict[str, Any] = registered.json()
    return made


def expect_good_to_be_taken(bench: Bench) -> None:
    """Expect both routes to take a good file, and drop it.

    To wait for every one would double the time; the rows that are to be ready do, in between.
    """
    good = known_good(bench)
    assert bench.client.post(f"/jobs/{good['job']}/cancel").is_success


def expect_good_to_work(bench: Bench) -> None:
    """Expect a good file to become a dataset."""
    made = bench.settled(known_good(bench)["id"])
    assert made["status"] == "ready", made


def expect_problem(
    answer: httpx.Response, status: int, code: str, content: bytes = b""
) -> dict[str, Any]:
    """Expect an answer to be this problem, and to say it as problems are said."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["instance"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["hint"]
    expect_prose([problem["detail"]], content)
    return problem


def expect_prose(texts: list[str], content: bytes) -> None:
    """Expect texts to be printable and to quote the input sparingly."""
    given = content[:200_000].decode(errors="replace")
    for text in texts:
        assert text.isprintable(), text
        long = (text[i : i + MAX_QUOTED + 1] for i in range(len(text) - MAX_QUOTED))
        assert not any(quoted in given for quoted in long), text


def expect_judgement(case: bad.Case, judged: bad.Judged, content: bytes) -> None:
    """Expect a dataset to be ready or rejected as the case says, and its report to say why."""
    made, report = judged.dataset, judged.report
    told = [*report["errors"], *report["warnings"], *([made["error"]] if made["error"] else [])]
    expect_prose([each[part] for each in told for part in ("message", "hint")], content)
    if isinstance(case.expected, bad.Rejected):
        assert (made["status"], (made["error"] or {}).get("code")) == (
            "rejected",
            case.expected.code,
        ), (made, report)
        assert any(fits(case.expected, error) for error in report["errors"]), report["errors"]
    else:
        assert isinstance(case.expected, bad.Ready)
        assert made["status"] == "ready", (made, report)
        codes = {warning["code"] for warning in report["warnings"]}
        assert {case.expected.warning} - {None} <= codes, report["warnings"]
        assert made["warnings"] == report["warnings_total"]
    assert case.check is None or case.check(judged), (made, report)


def fits(expected: bad.Rejected, error: dict[str, Any]) -> bool:
    """Return whether a finding is the expected one."""
    said = f"{error['column']}: {error['message']} {error['hint']}"
    return (
        error["code"] == expected.code
        and expected.line in (None, error["line"])
        and expected.column in (None, error["column"])
        and all(re.search(pattern, said, re.IGNORECASE) for pattern in expected.says)
    )


def play(case: bad.Case, bench: Bench) -> None:
    """Send a case and expect its answer; then a good one on the same routes."""
    name = str(case.spec.get("name", f"row {case}"))
    spec = {field: value for field, value in case.spec.items() if field != "name"}
    parts = {None: case.content} if callable(case.content) else dict(case.content)
    contents = {part: content() for part, content in parts.items()}
    whole = b"\n".join(contents.values())
    if isinstance(case.expected, bad.Refused):
        status, code, path = case.expected.status, case.expected.code, case.expected.path
        if path == "/files":
            answer = bench.upload(whole, case.media_type, case.headers)
        else:
            answer = bench.register(bench.file, name, case.headers, **spec)
        expect_problem(answer, status, code, json.dumps(case.spec).encode() + whole)
        if path == "/files":
            bench.stored(bad.csv())
        else:
            expect_good_to_be_taken(bench)
        return
    files = {part: bench.stored(content, case.media_type) for part, content in contents.items()}
    registered = bench.register(files.get(None, files), name, **spec)
    assert registered.status_code == 202, registered.text
    made = registered.json()
    if isinstance(case.expected, bad.Rejected):
        expect_good_to_be_taken(bench)  # while the bad one is judged: the next row comes after it
        expect_judgement(case, bench.judged(made["id"]), whole)
        bench.no_split_of(made["id"])
    else:
        expect_judgement(case, bench.judged(made["id"]), whole)


@contextlib.contextmanager
def begun(
    bench: Bench, length: int, sent: bytes, **headers: str
) -> Iterator[http.client.HTTPConnection]:
    """Begin an upload that announces more bytes than are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.service.port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/files")
        given = {"Content-Type": bad.CSV, "Content-Length": str(length), **headers}
        given["Authorization"] = bench.client.headers["Authorization"]
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(sent)
        yield connection


def read_answer(bench: Bench, connection: http.client.HTTPConnection) -> httpx.Response:
    """Read what a begun upload is answered with."""
    raw = connection.getresponse()
    answer = httpx.Response(raw.status, headers=dict(raw.getheaders()), content=raw.read())
    bench.inspect(answer)
    return answer


def writes_last_words(pid: int) -> bool:
    """Return whether a process handles SIGSEGV (faulthandler)."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGSEGV - 1) & 1)


def parser_that_dies(bench: Bench) -> None:
    file_id = bench.stored(bad.parquet(), bad.PARQUET)
    made = bench.register(file_id, "dies").json()

    def killed() -> bool:
        for pid, _, owner in bench.service.processes("job"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if owner == made["job"] and writes_last_words(pid):
                    os.kill(pid, signal.SIGSEGV)
        path = f"/datasets/{made['id']}"
        return bool(bench.client.get(path).json()["status"] != "validating")

    e2e.wait_until(killed, "the dataset is judged", seconds=60)
    found = bench.settled(made["id"])
    assert (found["status"], found["error"]["code"]) == ("rejected", "unreadable-parquet"), found
    assert "tunery_trainer/__main__.py" in found["error"]["log_tail"], found


def body_cut_off(bench: Bench) -> None:
    with begun(bench, 1000, b"text,label\n") as connection:
        connection.sock.shutdown(socket.SHUT_WR)
        # uvicorn takes half a close for a whole one: then there is nobody to answer.
        with contextlib.suppress(http.client.RemoteDisconnected):
            expect_problem(read_answer(bench, connection), 400, "incomplete-body")
    bench.stored(bad.csv())


def file_above_the_limit(bench: Bench) -> None:
    with begun(bench, MAX_UPLOAD_BYTES + 1, b"") as connection:
        answer = read_answer(bench, connection)
    expect_problem(answer, 413, "body-too-large")
    assert answer.headers["Connection"] == "close"


def file_larger_than_the_disk(bench: Bench) -> None:
    with begun(bench, MAX_UPLOAD_BYTES, b"") as connection:
        answer = read_answer(bench, connection)
    expect_problem(answer, 507, "insufficient-storage")
    assert answer.headers["Connection"] == "close"


def same_key_and_body(bench: Bench) -> None:
    headers = {"Idempotency-Key": "row 96"}
    spec = {"file": bench.file, "name": "once", "headers": {"Idempotency-Key": "row 96, dataset"}}

    uploads = [bench.upload(bad.csv(), headers=headers) for _ in range(2)]
    datasets = [bench.register(**spec) for _ in range(2)]

    for (first, again), status in ((uploads, 201), (datasets, 202)):
        assert (first.status_code, again.status_code) == (status, status)
        assert again.content == first.content
        assert again.headers["Location"] == first.headers["Location"]
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
    bench.settled(datasets[0].json()["id"])


def same_key_and_other_body(bench: Bench) -> None:
    headers = {"Idempotency-Key": "row 97"}
    spec = {"file": bench.file, "headers": {"Idempotency-Key": "row 97, dataset"}}
    assert bench.upload(bad.csv(), headers=headers).status_code == 201
    made = bench.register(name="first", **spec)
    assert made.status_code == 202

    expect_problem(
        bench.upload(bad.csv(bad.PAIRS[:9]), headers=headers), 422, "idempotency-key-reused"
    )
    expect_problem(bench.register(name="second", **spec), 422, "idempotency-key-reused")
    bench.settled(made.json()["id"])


def same_key_while_the_first_runs(bench: Bench) -> None:
    # Whichever body is whole first makes the file; nobody has to ask again for a 409.
    headers = {"Idempotency-Key": "row 98"}
    content = bad.csv()

    with begun(bench, len(content), content[:500], **headers) as connection:
        answer = bench.upload(content, headers=headers)
        connection.send(content[500:])
        first = read_answer(bench, connection)

    assert (answer.status_code, first.status_code) == (201, 201)
    assert (first.content, first.headers["Idempotency-Replayed"]) == (answer.content, "true")
    assert bench.client.delete(first.headers["Location"]).status_code == 204
    bench.made.subtract(["files"])


def same_name_again(bench: Bench) -> None:
    first, second = (bench.register(bench.file, "Twice") for _ in range(2))
    other = bench.register(bench.file, "TWICE")

    assert (first.status_code, second.status_code) == (202, 202)
    assert (first.json()["version"], first.json()["parent"]) == (1, None)
    assert (second.json()["version"], second.json()["parent"]) == (2, first.json()["id"])
    expect_problem(other, 409, "name-taken")
    for each in (first, second):
        assert bench.settled(each.json()["id"])["status"] == "ready"


def dataset_of_a_live_job(bench: Bench) -> None:
    dataset_id = known_good(bench)["id"]
    bench.settled(dataset_id)
    job = e2e.finetune(bench.client, dataset_id)  # no device: it stays in the queue
    bench.made.update(jobs=1)

    expect_problem(bench.client.delete(f"/datasets/{dataset_id}"), 409, "dataset-in-use")

    assert bench.client.post(f"/jobs/{job['id']}/cancel").is_success
    e2e.ended(bench.client, job["id"])
    assert bench.client.get(f"/datasets/{dataset_id}").json()["status"] == "ready"


def pages_that_are_none(bench: Bench) -> None:
    path = f"/datasets/{bench.anchor['id']}/rows"
    for query in ("limit=1000000000&cursor=x", "limit=1000000000", "limit=0", "after=x"):
        expect_problem(bench.client.get(f"{path}?{query}"), 422, "invalid-pagination")
    assert len(bench.client.get(f"{path}?limit=3").json()["data"]) == 3


@dataclass(frozen=True)
class Story:
    """A row that takes more than one request, or one that is no ordinary one."""

    row: int
    name: str
    tell: Callable[[Bench], None]

    def __str__(self) -> str:
        return f"{self.row} {self.name}"


STORIES = [
    Story(87, "a parser that dies of SIGSEGV", parser_that_dies),
    Story(93, "a body that is shorter than announced", body_cut_off),
    Story(94, "a file above the limit", file_above_the_limit),
    Story(95, "a file that is larger than the disk", file_larger_than_the_disk),
    Story(96, "an Idempotency-Key again", same_key_and_body),
    Story(97, "an Idempotency-Key for another body", same_key_and_other_body),
    Story(98, "an Idempotency-Key while its first request runs", same_key_while_the_first_runs),
    Story(119, "a name again, and in capitals", same_name_again),
    Story(123, "a dataset that a live job uses", dataset_of_a_live_job),
    Story(124, "pages of rows", pages_that_are_none),
]
ROWS = sorted([*bad.CASES, *STORIES], key=lambda case: case.row)


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_a_bad_dataset_has_its_code_and_harms_nothing(bench: Bench, case: bad.Case | Story) -> None:
    bench.tidy()  # of a case that failed
    before = bench.state()

    if isinstance(case, Story):
        case.tell(bench)
    else:
        play(case, bench)

    bench.expect_unharmed(before)
    bench.tidy()
    assert bench.state().blobs == before.blobs


def test_the_table_has_every_row() -> None:
    assert {case.row for case in ROWS} == {*range(57, 121), 123, 124}
