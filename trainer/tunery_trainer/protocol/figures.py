"""Figures: what a process counts of its own work, for whoever watches the service.

Counts behind bounds that never change: an observation costs the hot path a bisection and two
additions, and the figures of several processes are added up place by place. Each histogram has one
writer, so nothing here locks; who reads meanwhile is behind by one observation at most.
"""

import os
from bisect import bisect_left
from pathlib import Path
from typing import Final, Self

import msgspec

SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
TEXTS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
TOKENS: Final = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0)


class Histogram(msgspec.Struct, array_like=True):
    """How many observations were at most each bound, and above the one before; their sum."""

    bounds: tuple[float, ...]
    counts: list[int]  # one more than bounds: the last counts what is above them all
    sum: float = 0.0

    @classmethod
    def over(cls, bounds: tuple[float, ...]) -> Self:
        """Return an empty one."""
        return cls(bounds, [0] * (len(bounds) + 1))

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: "Histogram") -> None:
        """Count what another process has observed."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.sum += other.sum


def _seconds() -> Histogram:
    return Histogram.over(SECONDS)


class EngineFigures(msgspec.Struct, kw_only=True):
    """What an engine has done since it began; the stages are those of a request that was computed.

    The queue's seconds end when the first of a request's texts is taken, those of the forward pass
    when its last one is computed.
    """

    texts: int = 0  # computed
    tokens: int = 0  # of them, padding left out
    expired: int = 0  # requests whose deadline passed while they waited; never computed
    cancelled: int = 0  # requests that nobody waits for any more, dropped while they waited
    abstained: int = 0  # texts that the version rather did not answer
    batch_texts: Histogram = msgspec.field(default_factory=lambda: Histogram.over(TEXTS))
    batch_tokens: Histogram = msgspec.field(default_factory=lambda: Histogram.over(TOKENS))
    tokenise_seconds: Histogram = msgspec.field(default_factory=_seconds)
    queue_seconds: Histogram = msgspec.field(default_factory=_seconds)
    forward_seconds: Histogram = msgspec.field(default_factory=_seconds)

    def add(self, other: "EngineFigures") -> None:
        """Count what another engine has done."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.add(theirs)
            else:
                setattr(self, name, mine + theirs)


def resident_bytes() -> int:
    """Return how much of the machine's memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # proc(5): the second is resident
    return pages * os.sysconf("SC_PAGE_SIZE")
