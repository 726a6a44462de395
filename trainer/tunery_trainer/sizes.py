"""Sizes: what a fine-tune holds in memory and leaves on disk. Imports no torch.

The constants were measured: MiniLM and a BERT of 2 layers on one core, `VmHWM` of the process.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunery.types import Lora
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.failure import Refusal
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.parts import is_embedding, part_of

_FP32 = 4  # bytes of a weight, a gradient, a moment
_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1, "adafactor": 0}  # per weight; Adafactor's are sums
_NOT_ENCODER = re.compile(r"(^|\.)(pooler|cls|lm_head|classifier|position_ids)(\.|$)")
_ATTENTION = re.compile(r"\b(query|key|value|q_lin|k_lin|v_lin|q_proj|k_proj|v_proj|Wqkv)\.")
_STATE_BYTES = 50_000  # of a checkpoint: random states, facts, canary, manifest
_GRAPH_BYTES = 60_000  # of the export's graph, a layer, and once more for the rest
# Resident after the first step without weights and activations: torch, transformers, kernels.
_PROCESS_BYTES = {"cpu": 520 << 20, "cuda": 500 << 20}
_EXPORT_BYTES = 180 << 20  # OpenVINO's libraries and its compiled graph, weights aside
_EXPORT_COPIES = 3  # of the weights, beside the classifier's: traced, converted, compiled


class Sizes:
    """Bytes of what a run holds and leaves, from the shapes in the base model's files."""

    def __init__(self, base_dir: Path, base: BaseFacts, labels: int, settings: Settings) -> None:
        shapes = _shapes(base_dir / "model.safetensors")
        head = (base.hidden_size + 1) * labels
        open_to_training = {
            name: shape for name, shape in shapes.items() if part_of(name) not in settings.freeze
        }
        if settings.peft is None:
            trained = head + sum(map(math.prod, open_to_training.values()))
        else:
            trained = head + _adapters(open_to_training, settings.peft)
        self.weights = _FP32 * (head + sum(map(math.prod, shapes.values())))
        self.gradients = _FP32 * trained
        self._adapters = 0 if settings.peft is None else self.gradients  # kept beside the weights
        self.moments = _MOMENTS[settings.optimizer] * self.gradients
        self._graph = _GRAPH_BYTES * (base.layers + 1)
        self._files = sum(
            path.stat().st_size
            for path in base_dir.iterdir()
            if path.name.startswith(("tokenizer", "vocab", "special_tokens"))
        )

    def checkpoint(self, *, with_best: bool) -> int:
        """Return the size of a checkpoint, which holds the best weights where they are others."""
        copies = 2 if with_best else 1
        return copies * self.weights + self._adapters + self.moments + self._files + _STATE_BYTES

    @property
    def version(self) -> int:
        """Return the size of a version: its weights, and once more as the runtime's export."""
        return 2 * self.weights + self._files + self._graph

    def memory(
        self,
        base: BaseFacts,
        parts: Sequence[tuple[int, int]],
        settings: Settings,
        device: str,
    ) -> int:
        """Return the peak of the process, or of the GPU; `parts` are micro-batches (rows, tokens).

        Source of the activations: Korthikanti et al. 2022, arXiv:2205.05198, section 4.1.
        """
        trained = self.weights + self.gradients + self.moments
        activations = max(_activations(rows, tokens, base, settings) for rows, tokens in parts)
        if device != "cpu":
            return _PROCESS_BYTES["cuda"] + trained + activations
        best = self.weights  # a copy, from the first validation on
        saving = max(self.weights, self.moments)  # safetensors serialises a file in memory
        exporting = _EXPORT_BYTES + _EXPORT_COPIES * self.weights
        return _PROCESS_BYTES["cpu"] + trained + best + max(activations, saving, exporting)


def _activations(rows: int, tokens: int, base: BaseFacts, settings: Settings) -> int:
    """Return the bytes that a pass keeps for the way back, of the largest micro-batch."""
    # Elements in the precision of the pass, and masks of a byte each, per token and layer.
    size = 4 if settings.precision == "fp32" else 2
    kept = size * (8 * base.hidden_size + 2 * base.inner_size) + 2 * base.hidden_size
    attention = (2 * size + 1) * base.heads * tokens
    layers = 1 if settings.gradient_checkpointing else base.layers
    return rows * tokens * (layers * (kept + attention) + base.layers * size * base.hidden_size)


def _adapters(shapes: Mapping[str, Sequence[int]], lora: Lora) -> int:
    """Return the weights of the adapters: two matrices of rank r beside each linear layer."""
    return sum(
        lora.r * (shape[0] + shape[1])
        for name, shape in shapes.items()
        if len(shape) == 2
        and not is_embedding(name)
        and (lora.targets == "all-linear" or _ATTENTION.search(name))
    )


def _shapes(path: Path) -> dict[str, list[int]]:
    """Return the shape of each weight by name, of the encoder alone.

    Source: the safetensors format, a length of 8 bytes and a header of JSON.
    """
    try:
        with path.open("rb") as file:
            header: Mapping[str, dict[str, list[int]]] = json.loads(
                file.read(int.from_bytes(file.read(8), "little"))
            )
    except (OSError, ValueError) as error:
        raise Refusal("unknown-base-model", f"its weights can't be read: {error}") from error
    return {
        name: tensor["shape"]
        for name, tensor in header.items()
        if name != "__metadata__" and not _NOT_ENCODER.search(name)
    }
