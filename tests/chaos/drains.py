"""SIGTERM under load: what has begun is answered, what is new is refused, the exit code is 0."""

import asyncio
import contextlib
import signal
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos import http
from tests.e2e import service as e2e

FILE = b"text,label\n" + b"hello,a\n" * 1000
WAIT_SECONDS = 20.0


@dataclass
class Outcome:
    """What the clients of the services that were stopped saw."""

    stops: int = 0
    begun: Counter[str] = field(default_factory=Counter)  # requests sent before the signal
    later: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)  # of those that had begun
    wrong: list[str] = field(default_factory=list)  # anything else that must not be

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.stops} stops: begun {dict(self.begun)}, {len(self.dropped)} dropped; later "
            f"{dict(self.later)}; wrong {self.wrong}"
        )


async def drain(service: e2e.Service, model: str, *, clients: int, outcome: Outcome) -> None:
    """Stop a service that predicts, receives an upload and lets a client wait for a change."""
    told = asyncio.Event()
    ended = asyncio.Event()
    load = [
        asyncio.create_task(_predict(service, model, told, ended, outcome)) for _ in range(clients)
    ]
    waiting = asyncio.create_task(_wait_for_change(service, model))
    upload = await _begin_upload(service)
    await asyncio.sleep(0.3)  # all of them are on their way
    assert service.process is not None
    told.set()
    service.process.send_signal(signal.SIGTERM)
    try:
        await _look_around(service, model, outcome)
        _expect(outcome, "an upload that had begun", 201, await _end_upload(upload))
        _expect(outcome, "a wait for a change", 304, (await waiting).status)
        code = await asyncio.to_thread(service.process.wait, 60)
        _expect(outcome, "the exit code", 0, code)
    finally:
        ended.set()
        await asyncio.gather(*load)
    outcome.stops += 1


async def _look_around(service: e2e.Service, model: str, outcome: Outcome) -> None:
    """Look at a service that can't end yet, since an upload goes on."""
    answer = await _first_refusal(service, http.request(service, "GET", "/health/ready"))
    _expect(outcome, "/health/ready", "draining", answer.code)
    body = {"model": model, "inputs": ["where is it"]}
    answer = await _first_refusal(service, http.request(service, "POST", "/predict", body))
    _expect(outcome, "a new request", "draining", answer.code)
    _expect(outcome, "its connection", "close", answer.headers.get("connection"))
    _expect(outcome, "its Retry-After", "1", answer.headers.get("retry-after"))
    live = await http.ask(service, http.request(service, "GET", "/health/live"))
    _expect(outcome, "/health/live", 200, live.status)


async def _first_refusal(service: e2e.Service, sent: bytes) -> http.Answer:
    """Ask until the answer is another than 200; a worker hears of the signal a moment later."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            answer = await http.ask(service, sent)
            if answer.status != 200:
                return answer


async def _predict(
    service: e2e.Service, model: str, told: asyncio.Event, ended: asyncio.Event, outcome: Outcome
) -> None:
    """Ask on one new connection after the other, until nobody listens."""
    body = {"model": model, "inputs": ["I want my money back"]}
    sent = http.request(service, "POST", "/predict", body)
    while not ended.is_set():
        late = told.is_set()
        try:
            answer = await http.ask(service, sent)
            found = "ok" if answer.status == 200 else answer.code
        except ConnectionRefusedError:
            found = "refused"
        except ConnectionError as error:
            found = type(error).__name__
        (outcome.later if late else outcome.begun)[found] += 1
        if not late and found != "ok":
            outcome.dropped.append(found)
        if found != "ok":
            await asyncio.sleep(0.01)


async def _wait_for_change(service: e2e.Service, model: str) -> http.Answer:
    """Wait again after each change that comes before the signal."""
    path = f"/deployments/{model}"
    answer = await http.ask(service, http.request(service, "GET", path))
    while answer.status == 200:
        etag = answer.headers["etag"]
        sent = http.request(service, "GET", f"{path}?wait=60", If_None_Match=etag)
        answer = await http.ask(service, sent)
    return answer


async def _begin_upload(service: e2e.Service) -> http.Streams:
    streams = await http.connect(service)
    head = http.request(
        service,
        "POST",
        "/files?name=a.csv",
        Content_Type="text/csv",
        Content_Length=str(len(FILE)),
    )
    streams[1].write(head + FILE[:100])
    return streams


async def _end_upload(streams: http.Streams) -> int | str:
    reader, writer = streams
    with contextlib.closing(writer):
        writer.write(FILE[100:])
        try:
            return (await http.answer(reader)).status
        except ConnectionError as error:
            return type(error).__name__


def _expect(outcome: Outcome, what: str, wanted: object, found: object) -> None:
    if found != wanted:
        outcome.wrong.append(f"{what} is {found}, not {wanted}")
