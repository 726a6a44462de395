"""Violations: what msgspec says about a body, as a problem with a pointer.

Owns the names of other libraries and the search for the nearest name of ours.
"""

import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

from tunery.types import FieldError
from tunery_server.problems import Refusal, quote

FOREIGN_NAMES = {
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "lr": "learning_rate",
    "learning_rate_multiplier": "learning_rate",
    "lr_scheduler_type": "scheduler",
    "lr_scheduler": "scheduler",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "optim": "optimizer",
    "label_smoothing_factor": "label_smoothing",
    "gradient_accumulation": "gradient_accumulation_steps",
    "accumulate_grad_batches": "gradient_accumulation_steps",
    "gradient_clip_val": "max_grad_norm",
    "max_norm": "max_grad_norm",
    "early_stopping_patience": "patience",
    "early_stopping_threshold": "min_delta",
    "metric_for_best_model": "metric",
    "save_steps": "every",
    "save_total_limit": "keep_last",
    "model_name": "model",
    "model_name_or_path": "base_model",
    "pretrained_model_name_or_path": "base_model",
    "training_file": "dataset",
    "dataset_id": "dataset",
    "hyperparams": "hyperparameters",
    "input": "inputs",
    "texts": "inputs",
    "text": "inputs",
    "instances": "inputs",
}
_PATH = re.compile(r" - at `(\$.*)`$", re.DOTALL)
_NAME = re.compile(r"field `(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def refusal_of(error: msgspec.ValidationError, of: Any) -> Refusal:
    """Return the refusal of a body that is JSON, but not of this type."""
    text = str(error)
    path = _PATH.search(text)
    message = text[: path.start()] if path else text
    pointer = _pointer(path.group(1)) if path else ""
    name = _NAME.search(message)
    if name is not None and message.startswith("Object contains unknown field"):
        return _unknown_field(name.group(1), pointer, of)
    if name is not None and message.startswith("Object missing required field"):
        pointer = f"{pointer}/{name.group(1)}"
        return _refusal("missing-required-field", pointer, f"{quote(name.group(1))} is missing")
    if "matching regex" in message:
        strict = "[a-z0-9]" in message  # the pattern of models and deployments
        rule = "use 1 to 64 lower-case letters, digits and . _ -, a letter or digit at both ends"
        told = rule if strict else "the name has characters that are not allowed"
        return _refusal("invalid-name", pointer, told)
    if message == "Number out of range":  # of a float: JSON has no infinity
        return Refusal("malformed-json", f"{pointer}: the number is not finite as a double")
    if re.search(r"` [<>]=? |of length [<>]=", message):
        return _refusal("out-of-range", pointer, _lowered(message))
    return _refusal("schema-violation", pointer, _lowered(message))


def _refusal(code: str, pointer: str, message: str) -> Refusal:
    place = pointer or "the body"
    return Refusal(
        code,
        f"{place[:160]}: {message}",
        errors=[FieldError(code=code, message=message, pointer=pointer)],
    )


def _unknown_field(name: str, pointer: str, of: Any) -> Refusal:
    names = _field_names(of, pointer)
    ours = FOREIGN_NAMES.get(name)
    near = (
        [ours] if ours in names else difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)
    )
    known = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
    escaped = name[:100].replace("~", "~0").replace("/", "~1")
    message = f"{quote(name)} is not a field here; {known}"
    printable = escaped.encode("unicode_escape").decode("ascii")
    return _refusal("unknown-field", f"{pointer}/{printable}", message)


def _field_names(of: Any, pointer: str) -> list[str]:
    found = _struct(inspect.type_info(of))
    for step in pointer.split("/")[1:]:
        if step.isdecimal():  # an item of a list
            continue
        if found is None:
            return []
        field = next((field for field in found.fields if field.encode_name == step), None)
        found = _struct(field.type) if field is not None else None
    return [field.encode_name for field in found.fields] if found is not None else []


def _struct(kind: inspect.Type) -> inspect.StructType | None:
    if isinstance(kind, inspect.Metadata):
        return _struct(kind.type)
    if isinstance(kind, inspect.ListType):
        return _struct(kind.item_type)
    if isinstance(kind, inspect.UnionType):
        return next((found for part in kind.types if (found := _struct(part))), None)
    return kind if isinstance(kind, inspect.StructType) else None


def _pointer(path: str) -> str:
    return "".join(
        f"/{(name or index).replace('~', '~0').replace('...', '*')}"
        for name, index in _STEP.findall(path)
    )


def _lowered(message: str) -> str:
    text = message[:1].lower() + message[1:200]
    return "".join(c if c.isprintable() else "�" for c in text).replace("`", "")
