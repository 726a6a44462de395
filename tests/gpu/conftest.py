"""A GPU and a directory to train in; without a GPU these tests are skipped, and say so."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from tests.trainer.tiny_model import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a directory with a tiny base model and rows."""
    if not torch.cuda.is_available():
        pytest.skip("NOT TESTED: there is no GPU")
    AcceleratorState._reset_state(reset_partial_state=True)  # accelerate keeps one precision
    return Bench(tmp_path)
