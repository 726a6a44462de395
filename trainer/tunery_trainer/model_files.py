"""The model directory: what a checkpoint and a version hold on disk, and who reads which file.

    config.json  model.safetensors            the encoder, as transformers writes it
    tokenizer.json  tokenizer_config.json     the tokenizer; tokenizer.json alone is enough to serve
    modules.json  1_Pooling/  3_Dense/        sentence-transformers layout of pooling and head;
                  4_Dense/                    of regression, from deviations to the rows' unit
    tunery.json                               ModelFacts: task, labels, max_length, what was found
    README.md                                 the model card (model_card.py)
    canary.json                               a few rows with torch's answers, checked after a load
    openvino/model.xml  openvino/model.bin    the compiled runtime's export (versions only)
    resume/                                   optimizer, schedule, random states (checkpoints only)
    manifest.json                             written last

Imports no torch, so that engines can read it.
"""

from pathlib import Path

import msgspec

from tunery.types import Abstain, Task
from tunery_trainer.tasks import Fit

FACTS_NAME = "tunery.json"
CANARY_NAME = "canary.json"


class ModelFacts(msgspec.Struct, kw_only=True, frozen=True):
    """What serving needs to know beyond the weights."""

    task: Task
    labels: list[str]  # in the order of the outputs
    max_length: int  # tokens, special ones included
    base_model: str
    pairs: bool = False  # whether it reads pairs of texts, or single ones
    fit: Fit = Fit()
    primary_metric: str | None = None  # that was asked for
    abstain: Abstain | None = None  # what its thresholds were fitted to


class Canary(msgspec.Struct, kw_only=True, frozen=True):
    """Golden answers: `logits[i]` is what torch computed in fp32 for `texts[i]`."""

    texts: list[str | tuple[str, str]]
    logits: list[list[float]]


def read_facts(model_dir: Path) -> ModelFacts:
    """Return the facts of a model directory."""
    return msgspec.json.decode((model_dir / FACTS_NAME).read_bytes(), type=ModelFacts)


def read_canary(model_dir: Path) -> Canary:
    """Return the golden answers of a model directory."""
    return msgspec.json.decode((model_dir / CANARY_NAME).read_bytes(), type=Canary)


def write_json(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
