"""An open loop: requests are sent when they are due, whether or not the last ones are answered.

A closed loop slows down with the service and so hides what overload does.
"""

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos import http
from tests.e2e import service as e2e
from tests.e2e.scrape import Page, scrape

LONG = "why was I charged twice this month, and who will give me back what you took? " * 3
TEXTS = 16  # of a request, so that few requests are much work
DEADLINE_SECONDS = 2.0
HUNG_SECONDS = 10.0  # beyond the deadline
MAX_CONNECTIONS = 1000
IN_TIME = "0.01"  # seconds for a refusal; a bound of the histogram


@dataclass
class Outcome:
    """What came of the requests that were sent."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # of those that were answered
    bare: int = 0  # 503 and 429 without Retry-After
    hung: int = 0
    unsent: int = 0  # all connections were busy
    recovered_seconds: float = 0.0  # until a lone request was answered

    @property
    def per_second(self) -> float:
        """How many were answered, each second."""
        return self.statuses[200] / self.seconds

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.statuses.total() + self.hung} sent in {self.seconds:.1f} s, "
            f"{self.per_second:.2f}/s answered, statuses {dict(self.statuses)}, "
            f"codes {dict(self.codes)}, {self.bare} bare, {self.hung} hung, {self.unsent} unsent, "
            f"p99 of answers {p99(self.latencies) * 1000:.0f} ms"
        )


class Loader:
    """Sends one request over and over, on connections that it keeps."""

    def __init__(self, service: e2e.Service, model: str) -> None:
        self._service = service
        self._request = http.request(
            service,
            "POST",
            "/predict",
            {"model": model, "inputs": [LONG] * TEXTS},
            X_Request_Timeout_Ms=f"{DEADLINE_SECONDS * 1000:.0f}",
        )
        self._idle: list[http.Streams] = []
        self._busy = 0

    async def closed(self, *, clients: int, seconds: float) -> Outcome:
        """Ask with so many clients, each when its last request is answered."""
        outcome = Outcome()
        began = time.monotonic()

        async def ask() -> None:
            while time.monotonic() - began < seconds:
                await self._send(outcome)

        await asyncio.gather(*(ask() for _ in range(clients)))
        outcome.seconds = time.monotonic() - began
        return outcome

    async def open(self, *, per_second: float, seconds: float) -> Outcome:
        """Send so many requests a second at even intervals; then wait for a lone one's answer."""
        outcome = Outcome()
        tasks: list[asyncio.Task[None]] = []
        began = time.monotonic()
        for number in range(math.ceil(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if self._busy >= MAX_CONNECTIONS:
                outcome.unsent += 1
            else:
                tasks.append(asyncio.create_task(self._send(outcome)))
        outcome.seconds = time.monotonic() - began
        lone = Outcome()
        while not lone.statuses[200]:
            await self._send(lone)
        outcome.recovered_seconds = time.monotonic() - began - outcome.seconds
        await asyncio.gather(*tasks)
        return outcome

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _connection(self) -> http.Streams:
        """Return a kept connection that the server has not closed for idleness, or a new one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await http.connect(self._service)

    async def _send(self, outcome: Outcome) -> None:
        self._busy += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS + HUNG_SECONDS):
                streams = await self._connection()
                streams[1].write(self._request)
                answer = await http.answer(streams[0])
        except TimeoutError:
            outcome.hung += 1
            return
        finally:
            self._busy -= 1
        self._idle.append(streams)
        outcome.statuses[answer.status] += 1
        if answer.status == 200:
            outcome.latencies.append(time.monotonic() - began)
            return
        outcome.codes[answer.code] += 1
        outcome.bare += answer.status in (429, 503) and "retry-after" not in answer.headers


@dataclass
class Overload:
    """What overload did, as the clients, the service's own metrics and a bystander say."""

    outcome: Outcome
    in_time: float  # share of the refusals that took 10 ms at most, measured in the server
    grown_bytes: int
    live_seconds: float  # the longest that /health/live took

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.outcome.line()}; {self.in_time:.2%} refused within 10 ms, memory "
            f"{self.grown_bytes / 1e6:+.1f} MB, /health/live at most "
            f"{self.live_seconds * 1000:.0f} ms, recovered in "
            f"{self.outcome.recovered_seconds:.2f} s"
        )


async def overload(
    service: e2e.Service, loader: Loader, *, per_second: float, seconds: float
) -> Overload:
    """Send more than can be answered, and look at what that does."""
    before = await asyncio.to_thread(page_of, service)
    ended = asyncio.Event()
    bystander = asyncio.create_task(_longest_live(service, ended))
    outcome = await loader.open(per_second=per_second, seconds=seconds)
    ended.set()
    after = await asyncio.to_thread(page_of, service)
    return Overload(
        outcome=outcome,
        in_time=_share_in_time(before, after),
        grown_bytes=int(_resident_bytes(after) - _resident_bytes(before)),
        live_seconds=await bystander,
    )


def page_of(service: e2e.Service) -> Page:
    """Read the metrics of a service."""
    with service.client() as client:
        return scrape(client)


def p99(values: list[float]) -> float:
    """Return what 99 % of the values do not exceed; 0 where there are none."""
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


async def _longest_live(service: e2e.Service, ended: asyncio.Event) -> float:
    longest = 0.0
    sent = http.request(service, "GET", "/health/live")
    while not ended.is_set():
        began = time.monotonic()
        assert (await http.ask(service, sent)).status == 200
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.1)
    return longest


def _share_in_time(before: Page, after: Page) -> float:
    def refused(name: str, **labels: str) -> float:
        return _rise(before, after, f"tunery_predict_seconds_{name}", code="overloaded", **labels)

    total = refused("count")
    return refused("bucket", le=IN_TIME) / total if total else 1.0


def _rise(before: Page, after: Page, name: str, **labels: str) -> float:
    return after.sum(name, **labels) - before.sum(name, **labels)


def _resident_bytes(page: Page) -> float:
    return sum(
        page.sum(f"tunery_{part}_resident_bytes") for part in ("worker", "supervisor", "engine")
    )
