"""Quotas: how many requests a key may make, by a token bucket of its own.

Each API worker counts for itself: a key gets its rate at least, and at most so often as there are
workers. Not Litestar's limiter: that counts whole seconds and sends no Retry-After.

Source: draft-ietf-httpapi-ratelimit-headers-10, for the two headers.
"""

import math
import time
from typing import Final

from tunery_server.problems import Refusal

BURST_SECONDS: Final = 1.0  # of requests that may come at once


class Quotas:
    """The bucket of every key."""

    def __init__(self, requests_per_second: float) -> None:
        """Without a limit where the rate is 0."""
        self._rate = requests_per_second
        self._burst_seconds = max(BURST_SECONDS, 1 / requests_per_second if self._rate else 0.0)
        self._full_at: dict[str, float] = {}  # of time.monotonic(), when nobody asks meanwhile

    def take(self, key_id: str) -> None:
        """Count a request.

        Raises:
            Refusal: rate-limited, the key's bucket is empty.
        """
        if not self._rate:
            return
        now = time.monotonic()
        full_at = max(now, self._full_at.get(key_id, 0.0)) + 1 / self._rate
        too_soon = full_at - now - self._burst_seconds
        if too_soon > 0:
            raise self._refusal(math.ceil(too_soon))
        self._full_at[key_id] = full_at

    def _refusal(self, wait_seconds: int) -> Refusal:
        burst = math.floor(self._rate * self._burst_seconds)
        return Refusal(
            "rate-limited",
            f"the key may make {self._rate:g} requests a second",
            retry_after=wait_seconds,
            headers={
                "RateLimit-Policy": f'"key";q={burst};w={math.ceil(self._burst_seconds)}',
                "RateLimit": f'"key";r=0;t={wait_seconds}',
            },
        )
