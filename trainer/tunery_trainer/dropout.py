"""Dropout on a CPU: the same masks in distribution, from a quarter of the random numbers.

torch draws a number for each element of a mask, on one thread: an eighth of a training step of
MiniLM on two cores. One number of 64 bits is enough for four elements.
"""

import functools
import warnings

import torch
from torch import Tensor

_LEVELS = 1 << 16  # a probability is rounded to a multiple of its inverse


@functools.cache
def use_fast_masks() -> torch.library.Library:
    """Let this process fill masks so on CPUs, in every model; torch's random state still rules."""
    # What it changes holds as long as it lives.
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it takes the place of torch's own, as it is meant to
        library.impl("bernoulli_.float", _bernoulli, "CPU")  # type: ignore[no-untyped-call]
    return library


def _bernoulli(self: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None) -> Tensor:
    count, threshold = self.numel(), round(p * _LEVELS) - _LEVELS // 2  # levels are signed
    if threshold >= _LEVELS // 2:
        return self.fill_(1)
    numbers = torch.empty(-(-count // 4), dtype=torch.int64)
    numbers.random_(-(2**63), None, generator=generator)
    levels = numbers.view(torch.int16)[:count].view(self.shape)
    if self.is_contiguous():
        return torch.lt(levels, threshold, out=self)
    return self.copy_(levels < threshold)
