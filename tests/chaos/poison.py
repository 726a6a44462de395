"""One text that is trouble among 31 that are not, in the engine's batches at the same time."""

import asyncio
import math
import random
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos import http
from tests.chaos.overload import page_of
from tests.e2e import service as e2e

GOOD = 31
SCORE_TOLERANCE = 1e-5  # of fp32 sums in batches of other shapes
WORDS = ("card", "money", "refund", "lost", "stolen", "卡", "退款", "包裹", "why", "where", "my")

# What is sent as the text's JSON, and what must come of it alone.
POISONS = {
    "lone surrogate": (r'"\ud800"', "invalid-unicode"),
    "a million characters": ('"' + "a" * 1_000_000 + '"', "text-too-large"),
    "only spaces": ('"   "', "empty-text"),
    "a number": ("17", "schema-violation"),
    "more labels than there are": ('"refund"', "out-of-range"),
    "NUL": (r'"a\u0000b"', "ok"),
    "combining marks": ('"a' + r"\u0301" * 10_000 + '"', "ok"),
    "joined emoji": ('"' + r"\ud83d\udc69\u200d\ud83d\udcbb" * 2_000 + '"', "ok"),
    "right to left": (r'"\u202e\u05d0\u05d1\u202c"', "ok"),
    "one word without an end": ('"' + "x" * 90_000 + '"', "ok"),
}


@dataclass
class Outcome:
    """What the poison did to others."""

    batches: int = 0
    crossed: list[str] = field(default_factory=list)  # good texts answered otherwise than alone
    surprising: list[str] = field(default_factory=list)  # poison answered otherwise than it must be
    poisons: Counter[str] = field(default_factory=Counter)
    mean_batch: float = 0.0  # texts that the engine computed at once

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.batches} batches with one poison among {GOOD}: {len(self.crossed)} "
            f"cross-effects, {len(self.surprising)} surprises; {self.mean_batch:.1f} texts "
            f"computed at once; {dict(self.poisons)}"
        )


async def mix(service: e2e.Service, model: str, *, batches: int, seed: int = 0) -> Outcome:
    """Send batch after batch; each text is a request of its own, all of a batch at once."""
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 20))) for _ in range(4 * GOOD)]
    alone = {text: await _predicted(service, model, text) for text in texts}
    before = await asyncio.to_thread(page_of, service)
    outcome = Outcome()
    for number in range(batches):
        name = list(POISONS)[number % len(POISONS)]
        chosen = chance.sample(texts, GOOD)
        poisoned = asyncio.create_task(_poisoned(service, model, name))
        found = await asyncio.gather(*(_predicted(service, model, text) for text in chosen))
        code = await poisoned
        outcome.batches += 1
        outcome.poisons[f"{name}: {code}"] += 1
        if code != POISONS[name][1]:
            outcome.surprising.append(f"{name}: {code}")
        outcome.crossed += [
            f"{name}: {text!r} is {answer}, alone {alone[text]}"
            for text, answer in zip(chosen, found, strict=True)
            if not _same(answer, alone[text])
        ]
    after = await asyncio.to_thread(page_of, service)
    sums = [after.sum(f"tunery_batch_texts_{of}") - before.sum(f"tunery_batch_texts_{of}")
            for of in ("sum", "count")]  # fmt: skip
    outcome.mean_batch = sums[0] / sums[1]
    return outcome


async def _poisoned(service: e2e.Service, model: str, name: str) -> str:
    text, _ = POISONS[name]
    top_k = 900 if name == "more labels than there are" else 1
    body = f'{{"model": "{model}", "inputs": [{text}], "top_k": {top_k}}}'.encode()
    answer = await http.ask(service, http.request(service, "POST", "/predict", body))
    return "ok" if answer.status == 200 else answer.code


async def _predicted(service: e2e.Service, model: str, text: str) -> tuple[str, float]:
    body = {"model": model, "inputs": [text]}
    answer = await http.ask(service, http.request(service, "POST", "/predict", body))
    if answer.status != 200:
        return answer.code, 0.0
    (prediction,) = answer.json["predictions"]
    return prediction["label"], prediction["score"]


def _same(one: tuple[str, float], other: tuple[str, float]) -> bool:
    return one[0] == other[0] and math.isclose(one[1], other[1], abs_tol=SCORE_TOLERANCE)
