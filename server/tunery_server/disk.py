"""Disk: what a fine-tune takes of it at most, and whether that much is free."""

import shutil
from pathlib import Path

from tunery.types import Checkpoints

RESERVE_BYTES = 64 << 20  # stays free for the database, so that what goes wrong can be noted
_COPIES = 4  # of the weights in a checkpoint: its own, two moments, the best so far
_VERSION_COPIES = 2  # its weights and their export


def finetune_bytes(weights_bytes: int, checkpoints: Checkpoints) -> int:
    """Return how much disk a fine-tune of a base model takes at most, in bytes.

    Those that are kept, one that is being written, and the version.
    """
    kept = checkpoints.keep_last + checkpoints.keep_best + 1
    return (kept * _COPIES + _VERSION_COPIES) * weights_bytes


def weights_bytes(model_dir: Path) -> int:
    """Return the size of a base model's weights, in bytes."""
    return sum(path.stat().st_size for path in model_dir.glob("*.safetensors"))


def shortage(directory: Path, needed_bytes: int) -> str | None:
    """Return why so much does not fit on the disk of a directory; None where it does."""
    free = shutil.disk_usage(directory).free - RESERVE_BYTES
    if needed_bytes <= free:
        return None
    return f"it takes up to {needed_bytes:,} bytes of disk, and {max(0, free):,} are free"
