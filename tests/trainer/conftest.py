"""What the trainer's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _forgetful_accelerate() -> Iterator[None]:
    """Let each test choose its precision: accelerate keeps one a process."""
    yield
    import sys

    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def bench(tmp_path: Path):
    """Return a directory with a tiny base model and rows."""
    from tests.trainer.tiny_model import Bench

    return Bench(tmp_path)
