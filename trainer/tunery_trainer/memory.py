"""Memory: how its end shows. Imports no torch."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the device or the host has no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return True
    # torch raises a plain RuntimeError where the host has none.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
