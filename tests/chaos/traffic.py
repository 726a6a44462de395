"""Traffic for a service behind a broken network, and the check of what it left there.

Every create has a name of its own. Afterwards the service's database says how many things have
this name: one where the call succeeded, none or one where it raised.
"""

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.chaos.proxy import ChaosProxy
from tests.e2e import service as e2e

import tunery
from tunery.types import Event, Hyperparameters

GRACE_SECONDS = 1.5  # that a call may take more than its timeout
CALLS_OF_A_CLIENT = 100  # then another one comes, with new connections and a new retry budget
LARGE_BYTES = 300_000  # more than a piece of an upload
# Where what a create makes is counted, by its name.
TABLES = {
    "file": "SELECT name, count(*) FROM files GROUP BY name",
    "dataset": "SELECT name, count(*) FROM datasets GROUP BY name",
    "key": "SELECT name, count(*) FROM keys GROUP BY name",
    "job": "SELECT json_extract(spec, '$.metadata.call'), count(*) FROM jobs GROUP BY 1",
}


class Target(msgspec.Struct, kw_only=True, frozen=True):
    """What the traffic is about: a service, and what is there already."""

    data_dir: Path
    direct_url: str
    api_key: str
    dataset: str
    ingest: str  # its job, which has ended
    version: str | None = None  # else there are no evaluations
    deployment: str | None = None  # else there are no predictions


class Outcome(msgspec.Struct, kw_only=True):
    """What became of the calls, and of what they were to make."""

    calls: int = 0
    successes: int = 0
    errors: Counter[str] = msgspec.field(default_factory=Counter)  # typed, by class
    untyped: list[str] = []
    hung: list[str] = []  # calls that took too long
    wrong: list[str] = []  # answers to something else
    slowest_seconds: float = 0.0
    doubles: list[str] = []
    lost: list[str] = []  # a call succeeded, and nothing is there
    seconds: float = 0.0
    retries: int = 0
    faults: dict[str, int] = {}

    @property
    def broken(self) -> list[str]:
        """All broken promises."""
        return [*self.untyped, *self.hung, *self.wrong, *self.doubles, *self.lost]

    def line(self) -> str:
        """Return all of it as one line."""
        return (
            f"{self.calls} calls in {self.seconds:.0f} s, {self.successes} successes, "
            f"typed errors {dict(self.errors.most_common())}, hung {len(self.hung)}, "
            f"doubles {len(self.doubles)}, lost {len(self.lost)}, wrong {len(self.wrong)}, "
            f"untyped {len(self.untyped)}, slowest {self.slowest_seconds:.1f} s, "
            f"faults {self.faults}, retries {self.retries}"
        )


class Ledger:
    """What was asked for: how many things of each name there may be. Shared by the threads."""

    def __init__(self, timeout_seconds: float) -> None:
        self.outcome = Outcome()
        self.bounds: dict[tuple[str, str], tuple[int, int]] = {}
        self.timeout_seconds = timeout_seconds
        self._lock = threading.Lock()

    def call(self, what: str, call: Callable[[], Any]) -> Any:
        """Make a call and book how it ends; return its answer, or None where it raised."""
        began = time.monotonic()
        value = error = None
        try:
            value = call()
        except Exception as raised:  # whatever it is: an untyped one is a finding
            error = raised
        took = time.monotonic() - began
        with self._lock:
            self._book(what, error, took)
        return value

    def _book(self, what: str, error: Exception | None, took: float) -> None:
        outcome = self.outcome
        outcome.calls += 1
        outcome.slowest_seconds = max(outcome.slowest_seconds, took)
        if took > self.timeout_seconds + GRACE_SECONDS:
            outcome.hung.append(f"{what} took {took:.1f} s")
        if error is None:
            outcome.successes += 1
        elif isinstance(error, tunery.TuneryError):
            outcome.errors[type(error).__name__] += 1
        else:
            outcome.untyped.append(f"{what}: {error!r}")

    def create(self, kind: str, name: str, call: Callable[[], Any]) -> Any:
        """Make a call that creates; return what it made, or None where it raised."""
        made = self.call(f"create {kind} {name}", call)
        self.bounds[kind, name] = (0 if made is None else 1, 1)
        return made

    def delete(self, kind: str, name: str, call: Callable[[], bool]) -> None:
        """Make a call that deletes what has this name."""
        done = self.call(f"delete {kind} {name}", call)
        self.bounds[kind, name] = (0, 0 if done else 1)

    def expect(self, what: str, got: object, wanted: object) -> None:
        """Compare a part of an answer."""
        if got != wanted:
            self.outcome.wrong.append(f"{what}: {got!r}, not {wanted!r}")

    def audit(self, data_dir: Path) -> None:
        """Compare what was asked for with what the service has."""
        with closing(sqlite3.connect(f"file:{data_dir / 'tunery.db'}?mode=ro", uri=True)) as base:
            counts = {kind: dict(base.execute(query)) for kind, query in TABLES.items()}
        for (kind, name), (least, most) in self.bounds.items():
            found = counts[kind].get(name, 0)
            if found > most:
                self.outcome.doubles.append(f"{found} {kind}s are called {name}")
            if found < least:
                self.outcome.lost.append(f"{kind} {name}")


class Visitor:
    """One thread's calls."""

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        new_client: Callable[[], Any],
        *,
        number: int,
        seed: int,
    ) -> None:
        self._target = target
        self._ledger = ledger
        self._new_client = new_client
        self._prefix = f"s{seed}v{number}"
        self._random = random.Random(seed * 1000 + number)
        self._made = 0
        self._jobs: list[str] = []
        self._left = 0

    def run(self, calls: int) -> None:
        """Make about so many calls."""
        actions: dict[Callable[[tunery.Client], None], int] = {
            self._list: 12,
            self._look: 26,
            self._follow: 4,
            self._upload: 18,
            self._key: 9,
            self._finetune: 10,
            self._refused: 4,
            self._dataset: 2,
        }
        if self._target.deployment is not None:
            actions[self._predict] = 12
        if self._target.version is not None:
            actions[self._evaluate] = 1
        for begun in range(0, calls, CALLS_OF_A_CLIENT):
            with self._new_client() as client:
                self._left = min(CALLS_OF_A_CLIENT, calls - begun)
                while self._left > 0:
                    (action,) = self._random.choices([*actions], [*actions.values()])
                    action(client)

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        self._left -= 1
        return self._ledger.call(what, call)

    def _create(self, kind: str, name: str, call: Callable[[], Any]) -> Any:
        self._left -= 1
        return self._ledger.create(kind, name, call)

    def _name(self) -> str:
        self._made += 1
        return f"{self._prefix}-{self._made}"

    def _list(self, client: tunery.Client) -> None:
        if self._random.random() < 0.5:
            self._call("list jobs", lambda: first(client.jobs.list(status="queued")))
        else:
            self._call("list datasets", lambda: first(client.datasets.list(name="tickets")))

    def _look(self, client: tunery.Client) -> None:
        if self._jobs and self._random.random() < 0.6:
            wanted = self._random.choice(self._jobs)
            found = self._call("get job", lambda: client.jobs.get(wanted))
        else:
            wanted = self._target.dataset
            found = self._call("get dataset", lambda: client.datasets.get(wanted))
        if found is not None:
            self._ledger.expect("the id", found.id, wanted)

    def _follow(self, client: tunery.Client) -> None:
        seen: list[Event] = []
        events = client.jobs.events(self._target.ingest, timeout=self._ledger.timeout_seconds)
        followed = self._call("events", lambda: seen.extend(events) or seen)
        seqs = [event.seq for event in seen]
        self._ledger.expect("the seqs", seqs, [*range(1, len(seqs) + 1)])
        if followed is not None:
            self._ledger.expect("the last event", seen[-1].type, "end")

    def _upload(self, client: tunery.Client) -> None:
        name = f"{self._name()}.csv"
        content = f"text,label\n{name} is fine,good\n{name} is not,bad\n".encode()
        if self._random.random() < 0.25:
            content = content * (LARGE_BYTES // len(content))
        made = self._create("file", name, lambda: client.files.upload(content, name=name))
        if made is not None:
            self._ledger.expect("name and size", (made.name, made.bytes), (name, len(content)))

    def _dataset(self, client: tunery.Client) -> None:
        name = self._name()
        content = f"text,label\n{name} is fine,good\n{name} is not,bad\n".encode()
        file = self._create(
            "file", f"{name}.csv", lambda: client.files.upload(content, name=f"{name}.csv")
        )
        if file is None:
            return
        made = self._create(
            "dataset", name, lambda: client.datasets.create(file, name=name, wait=False)
        )
        if made is not None:
            self._ledger.expect("the name", made.name, name)

    def _key(self, client: tunery.Client) -> None:
        name = self._name()
        made = self._create("key", name, lambda: client.keys.create(name))
        if made is None:
            return
        self._ledger.expect("the name", made.name, name)
        self._left -= 1
        self._ledger.delete("key", name, lambda: client.keys.delete(made) is None)

    def _finetune(self, client: tunery.Client) -> None:
        name = self._name()
        made = self._create(
            "job",
            name,
            lambda: client.finetune(
                self._target.dataset,
                model=name,
                hyperparameters=Hyperparameters(max_steps=8, batch_size=16, max_length=32),
                metadata={"call": name},
            ),
        )
        if made is None:
            self._tidy(name)
            return
        self._ledger.expect("the metadata", made.spec["metadata"], {"call": name})
        self._jobs.append(made.id)
        cancelled = self._call("cancel job", made.cancel)
        if cancelled is None:
            self._tidy(name)
        else:
            self._ledger.expect("the id", cancelled.id, made.id)

    def _tidy(self, name: str) -> None:
        """Cancel without the proxy what a failed call has left in the queue, which is short."""
        headers = {"Authorization": f"Bearer {self._target.api_key}"}
        with httpx.Client(base_url=self._target.direct_url, headers=headers, timeout=60) as direct:
            queued = direct.get("/jobs", params={"status": "queued", "limit": 100}).json()["data"]
            for job in queued:
                if job["spec"].get("metadata", {}).get("call") == name:
                    direct.post(f"/jobs/{job['id']}/cancel")

    def _evaluate(self, client: tunery.Client) -> None:
        version, dataset = self._target.version, self._target.dataset
        made = self._call(
            "evaluate", lambda: client.evaluations.create(version, dataset=dataset, split="test")
        )
        if made is not None:
            self._call("cancel job", made.cancel)

    def _predict(self, client: tunery.Client) -> None:
        texts = [f"where is parcel {self._random.randrange(1000)}?", "I want my money back"]
        found = self._call("predict", lambda: client.predict(self._target.deployment, texts))
        if found is not None:
            self._ledger.expect("predictions", len(found), len(texts))

    def _refused(self, client: tunery.Client) -> None:
        self._call("get no job", lambda: client.jobs.get("job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"))


def first(pages: Iterable[Any]) -> Any:
    """Return the first item of a list, which takes one request; or that there is none."""
    return next(iter(pages), "none")


def drive(
    target: Target,
    proxy: ChaosProxy,
    *,
    calls: int,
    threads: int,
    timeout_seconds: float,
    seed: int,
    transport: Callable[[], httpx.BaseTransport] | None = None,
    new: Callable[..., Any] = tunery.Client,
) -> Outcome:
    """Make calls through a proxy, from several threads, and check what they have left.

    `new` is what makes clients: `tunery.Client`, or an `AsyncClient` with the same face.
    """
    ledger = Ledger(timeout_seconds)

    def new_client() -> Any:
        return new(
            proxy.url,
            api_key=target.api_key,
            timeout=timeout_seconds,
            transport=transport() if transport else None,
        )

    visitors = [
        Visitor(target, ledger, new_client, number=number, seed=seed) for number in range(threads)
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(visitor.run, calls // threads) for visitor in visitors]:
            done.result()
    outcome = ledger.outcome
    outcome.seconds = time.monotonic() - began
    e2e.wait_until(lambda: proxy.is_idle, "the service has answered what was forwarded")
    ledger.audit(target.data_dir)
    outcome.faults = dict(sorted(proxy.faults.items()))
    outcome.retries = proxy.requests - outcome.calls
    return outcome
