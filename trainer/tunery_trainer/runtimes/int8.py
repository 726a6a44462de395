"""int8: weights of linear layers as whole numbers of a byte, made when a version is loaded.

Each output has a scale of its own. What weights are multiplied by is rounded as it comes, for every
32 numbers of a token (OpenVINO's dynamic quantization), so that no rows are needed to calibrate it.
Source: Dettmers et al. 2022, arXiv:2208.07339, section 2.1 (symmetric, by vectors).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127


def use_int8(model: Any) -> None:
    """Replace the weights of a graph's linear layers by rounded ones and their scales."""
    for layer in model.get_ops():
        if layer.get_type_name() != "MatMul":
            continue
        source = layer.input(1).get_source_output()
        if source.get_node().get_type_name() == "Constant" and len(source.get_shape()) == 2:
            outputs_first = layer.get_attributes()["transpose_b"]
            rounded = _rounded(source.get_node().get_data(), axis=1 if outputs_first else 0)
            layer.input(1).replace_source_output(rounded)


def _rounded(weights: NDArray[np.float32], *, axis: int) -> Any:
    """Return an output of the graph that stands for weights, rounded along an axis: the inputs."""
    from openvino import opset13 as operations

    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scales = np.maximum(largest, np.finfo(np.float32).tiny) / _LARGEST
    whole = np.rint(weights / scales).astype(np.int8)
    return operations.multiply(
        operations.convert(operations.constant(whole), "f32"), operations.constant(scales)
    ).output(0)
