"""Serving: which runtime computes a model directory. Both ends have to agree about it."""

from pathlib import Path

from tunery.types import RuntimeName

OPENVINO_MODEL = "openvino/model.xml"


def runtime_of(model_dir: Path, asked: str, *, device: str) -> RuntimeName:
    """Return what `asked` stands for: `auto` is the compiled runtime where an export exists."""
    compiled = device == "cpu" and (model_dir / OPENVINO_MODEL).is_file()
    return "openvino" if asked == "openvino" or (asked == "auto" and compiled) else "torch"
