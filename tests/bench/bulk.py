"""Bulk prediction through the SDK beside bare HTTP, in turns, on the same service.

Bare: bodies made beforehand, four connections that send and read without looking at the answer.
"""

import queue
import resource
import threading
import time

import httpx
import msgspec
from tests.e2e import service as e2e

import tunery

ROUNDS = 5
TEXTS = 20_000  # of one turn
CONNECTIONS = 4
BATCH = 256


def bulk(service: e2e.Service) -> None:
    """Print texts per second of both, and how much memory the client's process has taken."""
    key = (service.data_dir / "admin.key").read_text().strip()
    texts = [f"order {i % 977} never came, where is it?" for i in range(TEXTS)]
    bodies = [
        msgspec.json.encode({"model": "intent", "inputs": texts[start : start + BATCH]})
        for start in range(0, TEXTS, BATCH)
    ]
    sdk, bare = [], []
    with tunery.Client(service.url, api_key=key) as client:
        client.predict("intent", texts[:2000])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(ROUNDS):
            began = time.monotonic()
            answers = client.predict("intent", texts)
            sdk.append(TEXTS / (time.monotonic() - began))
            assert len(answers) == TEXTS
            bare.append(TEXTS / _bare_seconds(service.url, key, bodies))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    ratio = sum(sdk) / sum(bare)
    print(
        f"bulk, {ROUNDS} x {TEXTS:,} texts: SDK {sum(sdk) / ROUNDS:.0f} texts/s, bare HTTP"
        f" {sum(bare) / ROUNDS:.0f} texts/s, ratio {ratio:.3f}"
        f" ({min(a / b for a, b in zip(sdk, bare, strict=True)):.3f}"
        f" to {max(a / b for a, b in zip(sdk, bare, strict=True)):.3f}),"
        f" the client's process grew by {grown / 1024:.0f} MB"
    )


def _bare_seconds(url: str, key: str, bodies: list[bytes]) -> float:
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in bodies:
        waiting.put(body)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def send() -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            while not waiting.empty():
                try:
                    body = waiting.get_nowait()
                except queue.Empty:
                    return
                client.post("/predict", content=body).raise_for_status()

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began
