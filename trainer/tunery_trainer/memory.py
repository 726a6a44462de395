"""Memory: how its end shows, and how much of it was needed. Imports no torch."""

import contextlib
import ctypes
import resource
import sys


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the device or the host has no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return True
    # torch raises a plain RuntimeError where the host has none.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def peak_bytes(device: str) -> int:
    """Return the most that this process has held, of the GPU or else of the host."""
    torch = sys.modules.get("torch")
    if device != "cpu" and torch is not None:
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_bytes() -> int:
    """Return how much of a GPU's memory this process holds now."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())


def give_back() -> None:
    """Return to the system what was freed: glibc keeps it, a checkpoint's worth each time."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
