"""The compiled runtime for CPUs: the exported graph under OpenVINO, without torch."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.failure import Refusal
from tunery_trainer.packing import Packed, forward_packed
from tunery_trainer.padding import MAX_TOKENS, forward_in_batches, read_pad_id
from tunery_trainer.protocol.serving import OPENVINO_MODEL
from tunery_trainer.runtimes.int8 import use_int8

_HINTS: dict[str, dict[str, Any]] = {  # without one it takes bf16 where the CPU has it
    "fp32": {"INFERENCE_PRECISION_HINT": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32},
}
_CAPABILITIES = {"bf16": "BF16", "int8": "INT8"}  # that a CPU must have


class OpenVinoRuntime:
    """A loaded export; one caller at a time."""

    name = "openvino"

    def __init__(self, model_dir: Path, *, threads: int, precision: str = "fp32") -> None:
        openvino = import_openvino()
        self.precision = precision
        self._pad_id = read_pad_id(model_dir)
        core = openvino.Core()
        needed = _CAPABILITIES.get(precision)
        if needed and needed not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Refusal("unsupported-precision", f"this CPU has no {precision}")
        model = core.read_model(str(model_dir / OPENVINO_MODEL))
        if precision == "int8":
            use_int8(model)
        compiled = core.compile_model(model, "CPU", {**_HINTS[precision], **_stream_of(threads)})
        self._packs = any("segments" in each.get_names() for each in compiled.inputs)
        self._request: Any = compiled.create_infer_request()

    def logits(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return logits (batch, labels) of token sequences of any lengths, in their order."""
        most = MAX_TOKENS["cpu"]
        if self._packs:
            return forward_packed(token_ids, self._forward_packed, max_tokens=most)
        return forward_in_batches(token_ids, self._forward, pad_id=self._pad_id, max_tokens=most)

    def _forward_packed(self, packed: Packed) -> NDArray[np.float32]:
        return self._infer(packed._asdict())

    def _forward(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return self._infer({"input_ids": input_ids, "attention_mask": attention_mask})

    def _infer(self, inputs: dict[str, Any]) -> NDArray[np.float32]:
        # Shared memory: the logits are copied out before the request runs again.
        found = self._request.infer(inputs, share_inputs=True, share_outputs=True)
        return np.asarray(found["logits"])


def start_openvino_threads(threads: int) -> None:
    """Compute something in so many threads, which stay and keep the priority of who started them.

    Fewer come where there are fewer cores, or where others take the work before they wake up.
    """
    openvino = import_openvino()
    from openvino import opset13 as operations

    weights = operations.constant(np.ones((64, 64), np.float32))
    rows = operations.parameter([1024, 64], np.float32)
    model = openvino.Model([operations.matmul(rows, weights, False, False)], [rows])
    computed = openvino.Core().compile_model(model, "CPU", _stream_of(threads))
    computed([np.ones((1024, 64), np.float32)])


def _stream_of(threads: int) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several engines would be pinned to the same cores
    }


def import_openvino() -> Any:
    """Return the module openvino, kept from calling home.

    Its import sends an event to Google Analytics and writes ~/intel, by way of its converter
    (openvino/tools/ovc/__init__.py in 2026.4). It does without the converter when that can't be
    imported, which also saves the import.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # blocks it
    import openvino

    return openvino
