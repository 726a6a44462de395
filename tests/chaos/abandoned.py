"""Requests that nobody waits for any more, while the engine computes something long."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos import http
from tests.chaos.overload import LONG, page_of
from tests.e2e import service as e2e

PATIENT = "600000"  # milliseconds
BULK = 256  # texts of the request that the others wait behind


@dataclass
class Outcome:
    """What was computed that should not have been."""

    rounds: int = 0
    void: int = 0  # the long request was answered before all others were sent
    wasted: float = 0.0  # texts computed for nobody
    codes: Counter[str] = field(default_factory=Counter)  # of those whose deadline passed
    hung_up: int = 0
    cancelled: float = 0.0  # of all of them, what the engine had held and dropped

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.rounds} rounds, {self.void} void; deadlines of 50 ms: {dict(self.codes)}; "
            f"{self.hung_up} hung up; {self.cancelled:.0f} of all dropped by the engine; "
            f"{self.wasted:.0f} texts computed for nobody"
        )


async def abandon(service: e2e.Service, model: str, *, rounds: int, each: int) -> Outcome:
    """Let requests expire, and clients hang up, behind a long one."""
    outcome = Outcome()
    while outcome.rounds < rounds:
        await _round(service, model, each, outcome)
    return outcome


async def _round(service: e2e.Service, model: str, each: int, outcome: Outcome) -> None:
    before = await asyncio.to_thread(page_of, service)
    long = http.request(
        service,
        "POST",
        "/predict",
        {"model": model, "inputs": [LONG] * BULK},
        X_Request_Timeout_Ms=PATIENT,
    )
    bulk = asyncio.create_task(http.ask(service, long))
    held = before
    while not held.sum("tunery_queue_tokens", deployment=model):
        held = await asyncio.to_thread(page_of, service)
    codes = await _expire(service, model, each)
    await asyncio.gather(*(_hang_up(service, model) for _ in range(each)))
    void = bulk.done()
    assert (await bulk).status == 200
    after = await asyncio.to_thread(page_of, service)
    if void:
        outcome.void += 1
        return
    outcome.rounds += 1
    outcome.codes += codes
    outcome.hung_up += each
    texts, dropped = "tunery_texts_total", "tunery_dropped_requests_total"
    outcome.wasted += after.sum(texts) - before.sum(texts) - BULK
    outcome.cancelled += after.sum(dropped, reason="cancelled")
    outcome.cancelled -= before.sum(dropped, reason="cancelled")


async def _expire(service: e2e.Service, model: str, times: int) -> Counter[str]:
    body = {"model": model, "inputs": [LONG]}
    sent = http.request(service, "POST", "/predict", body, X_Request_Timeout_Ms="50")
    answers = await asyncio.gather(*(http.ask(service, sent) for _ in range(times)))
    return Counter("ok" if answer.status == 200 else answer.code for answer in answers)


async def _hang_up(service: e2e.Service, model: str) -> None:
    reader, writer = await http.connect(service)
    body = {"model": model, "inputs": [LONG]}
    writer.write(http.request(service, "POST", "/predict", body, X_Request_Timeout_Ms=PATIENT))
    try:
        async with asyncio.timeout(0.1):  # it is on its way to the engine, or there
            await reader.read(1)
    except TimeoutError:
        pass
    writer.transport.abort()
