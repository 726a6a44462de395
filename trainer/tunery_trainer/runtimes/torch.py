"""The runtime of GPUs, and the fallback: the classifier under torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tunery_trainer.failure import Refusal
from tunery_trainer.model import load_classifier, quiet
from tunery_trainer.padding import MAX_TOKENS, forward_in_batches, read_pad_id


class TorchRuntime:
    """A loaded classifier; one caller at a time."""

    name = "torch"

    def __init__(
        self, model_dir: Path, *, device: str, threads: int, precision: str = "fp32"
    ) -> None:
        quiet()
        torch.set_num_threads(threads)
        self.precision = precision
        self._device = torch.device(device)
        if precision == "bf16" and not _has_bf16(self._device):
            raise Refusal("unsupported-precision", f"this {self._device.type} has no bf16")
        if precision == "int8":
            raise Refusal("unsupported-precision", "int8 is what the compiled runtime of a CPU has")
        self._pad_id = read_pad_id(model_dir)
        self._classifier = load_classifier(model_dir).to(self._device)

    def logits(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return logits (batch, labels) of token sequences of any lengths, in their order."""
        return forward_in_batches(
            token_ids,
            self._forward,
            pad_id=self._pad_id,
            max_tokens=MAX_TOKENS[self._device.type],
        )

    def _forward(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        reduced = torch.autocast(
            self._device.type, torch.bfloat16, enabled=self.precision == "bf16"
        )
        with torch.inference_mode(), reduced:
            logits = self._classifier(
                torch.from_numpy(input_ids).to(self._device),
                torch.from_numpy(attention_mask).to(self._device),
            )  # (B, C)
        found: NDArray[np.float32] = logits.float().cpu().numpy()
        return found


def start_cuda_threads(device: str) -> None:
    """Open a GPU: the driver's threads keep the priority of who does so."""
    torch.zeros(1, device=device)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
