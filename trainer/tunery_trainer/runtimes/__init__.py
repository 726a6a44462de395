"""Runtimes: what computes logits when a version is evaluated or served, behind one Protocol.

`openvino` is the compiled one for CPUs and imports no torch; `torch` is the one for GPUs and the
fallback for what has no export, such as the checkpoints of a running job.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.protocol.serving import runtime_of


class Runtime(Protocol):
    """A loaded version."""

    name: str
    precision: str

    def logits(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return logits (batch, labels) of token sequences of any lengths, in their order."""
        ...


def import_for(model_dir: Path, runtime: str, *, device: str) -> None:
    """Import what a load would import first, which takes a tenth of a second or some."""
    if runtime_of(model_dir, runtime, device=device) == "openvino":
        from tunery_trainer.runtimes.openvino import import_openvino

        import_openvino()
    else:
        from tunery_trainer.runtimes import torch  # noqa: F401


def start_threads(model_dir: Path, runtime: str, *, device: str, threads: int) -> None:
    """Start the threads that will compute, where they outlive who starts them.

    torch's on a CPU, a pool of OpenMP's, belong to the thread that computes.
    """
    if runtime_of(model_dir, runtime, device=device) == "openvino":
        from tunery_trainer.runtimes.openvino import start_openvino_threads

        start_openvino_threads(threads)
    elif device != "cpu":
        from tunery_trainer.runtimes.torch import start_cuda_threads

        start_cuda_threads(device)


def load(
    model_dir: Path, runtime: str, *, device: str, threads: int, precision: str = "fp32"
) -> Runtime:
    """Load a model directory; `auto` is the compiled runtime where an export exists.

    Raises:
        Refusal: unsupported-precision, the device would have to compute in another one.
    """
    if runtime_of(model_dir, runtime, device=device) == "openvino":
        from tunery_trainer.runtimes.openvino import OpenVinoRuntime

        return OpenVinoRuntime(model_dir, threads=threads, precision=precision)
    from tunery_trainer.runtimes.torch import TorchRuntime

    return TorchRuntime(model_dir, device=device, threads=threads, precision=precision)
