"""A closed loop of clients: each sends its next request when the last one is answered."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

TEXTS = [
    "I want my money back",
    "the app crashes when I open it",
    "我的包裹在哪里",
    "cannot log in since yesterday",
    "please cancel my subscription",
    "why was I charged twice this month, and who will give me back what you took?",
    "where is it",
    "登录不了",
]
SCORE_TOLERANCE = 1e-5  # of fp32 sums in batches of other shapes

Golden = dict[tuple[str, str], tuple[str, float]]  # version, text: label, score


@dataclass
class Outcome:
    """What the clients saw."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many requests were not answered with a prediction."""
        return self.requests - self.statuses[200]


async def golden_answers(client: httpx.AsyncClient, model: str) -> Golden:
    """Return what a version answers to every text, asked alone."""
    found: Golden = {}
    for text in TEXTS:
        answer = (await client.post("/predict", json={"model": model, "inputs": [text]})).json()
        prediction = answer["predictions"][0]
        found[answer["version"], text] = (prediction["label"], prediction["score"])
    return found


async def under_load(
    client: httpx.AsyncClient,
    model: str,
    golden: Golden,
    meanwhile: Callable[[Callable[[str | None], None]], Awaitable[None]],
    *,
    clients: int = 32,
    rate: float = math.inf,
) -> Outcome:
    """Ask with so many clients, at most `rate` requests a second, while something happens.

    `meanwhile` is given a function to call with the version that is the only one from now on, or
    with None when that may change.
    """
    outcome = Outcome()
    done = asyncio.Event()
    only_since: tuple[float, str] | None = None

    def now_only(version: str | None) -> None:
        nonlocal only_since
        only_since = None if version is None else (time.monotonic(), version)

    async def ask(number: int) -> None:
        turn = number
        due = time.monotonic() + number / rate
        while not done.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 1.0) + clients / rate
            text = TEXTS[turn % len(TEXTS)]
            turn += 1
            sent, expected = time.monotonic(), only_since
            try:
                answer = await client.post("/predict", json={"model": model, "inputs": [text]})
            except httpx.HTTPError as error:
                outcome.requests += 1
                outcome.statuses[0] += 1
                outcome.wrong.append(repr(error))
                continue
            outcome.requests += 1
            outcome.statuses[answer.status_code] += 1
            outcome.latencies.append(time.monotonic() - sent)
            if answer.status_code == 200:
                _check(answer.json(), text, golden, expected, only_since, outcome)

    tasks = [asyncio.create_task(ask(number)) for number in range(clients)]
    try:
        await meanwhile(now_only)
    finally:
        done.set()
        await asyncio.gather(*tasks)
    return outcome


def _check(
    body: dict,
    text: str,
    golden: Golden,
    before: tuple[float, str] | None,
    after: tuple[float, str] | None,
    outcome: Outcome,
) -> None:
    version, prediction = body["version"], body["predictions"][0]
    outcome.versions[version] += 1
    label, score = golden[version, text]
    if prediction["label"] != label or not math.isclose(
        prediction["score"], score, abs_tol=SCORE_TOLERANCE
    ):
        outcome.wrong.append(f"{version} {text!r}: {prediction}, golden {label} {score}")
    if before is not None and before == after and version != before[1]:
        outcome.stale.append(f"{version} answered after {before[1]} was ready")
