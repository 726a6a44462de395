"""The classifier: a transformer encoder, the mean of its tokens at one length, a task's head.

Owns how weights come from a base model or a model directory and go into one, in the layout of
sentence-transformers (Transformer, Pooling, Normalize, Dense), so that the directory is of use
without tunery.
"""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from tunery_trainer.base_facts import DROPOUT_FIELDS, BaseFacts
from tunery_trainer.model_files import FACTS_NAME, ModelFacts, read_facts, write_json
from tunery_trainer.tasks import Task, task_named

POOLING, NORMALIZE, DENSE = "1_Pooling", "2_Normalize", "3_Dense"  # directories of the layout
UNIT = "4_Dense"  # of regression: from deviations to the unit of the rows; tunery does it itself
ATTENTION_DROPOUT_FIELDS = ("attention_probs_dropout_prob", "attention_dropout")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


class Classifier(nn.Module):
    """Encoder, mean over real tokens, brought to one length, head.

    As sentence encoders such as MiniLM were trained: starting from the CLS pooler costs half a
    point on BANKING77 (RECIPES.md 4.7).
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, separator: int | None = None) -> None:
        """`separator` is the token that parts a pair, where the encoder tells its texts apart."""
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.separator = separator
        # As long as a state of unit variance, so that a head learns at the usual rates; a power of
        # two, so that the saved weights of the head, which see length one, take it up exactly.
        self.length = 2.0 ** math.floor(math.log2(linear_of(head).in_features) / 2 + 0.5)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits: accelerate wraps this method where it trains in lower precision."""
        return self.logits(input_ids, attention_mask)

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits in the precision of the weights.

        Shapes: input_ids, attention_mask (batch, tokens) int64; returns (batch, labels) float32.
        """
        logits: Tensor = self.head(self.pooled(input_ids, attention_mask))  # (B, C)
        return logits

    def head_of(self, mean: Tensor) -> Tensor:
        """Return the logits (batch, labels) of mean states (batch, hidden)."""
        logits: Tensor = self.head(self._at_length(mean))
        return logits

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean state of each text's tokens at one length (batch, hidden) float32."""
        kinds = {}
        if self.separator is not None:
            # Told from the tokens, so that training, torch and the export can't differ in them.
            parts = (input_ids == self.separator).to(torch.int64)
            kinds["token_type_ids"] = (parts.cumsum(1) - parts > 0).to(torch.int64)  # (B, T)
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, **kinds
        ).last_hidden_state.float()  # (B, T, H)
        mask = attention_mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)  # (B, H)
        return self._at_length(mean)

    def _at_length(self, mean: Tensor) -> Tensor:
        return nn.functional.normalize(mean, dim=-1) * self.length


def new_classifier(
    base_dir: Path,
    facts: BaseFacts,
    task: Task,
    labels: Sequence[str],
    dropout: float,
    *,
    pairs: bool = False,
) -> Classifier:
    """Return a base model with a new head, in training precision fp32."""
    config: Any = AutoConfig.from_pretrained(base_dir, local_files_only=True)
    for name in _fields(config, DROPOUT_FIELDS):
        setattr(config, name, dropout)
    if dropout != facts.dropout:
        for name in _fields(config, ATTENTION_DROPOUT_FIELDS):
            setattr(config, name, dropout)
    encoder = _load_encoder(base_dir, config)
    head = task.head(facts.hidden_size, task.outputs(len(labels)), dropout)
    separator = _separator(base_dir, config) if pairs else None
    return _own_memory(Classifier(encoder, head, separator))


def load_classifier(model_dir: Path, dropout: float = 0.0) -> Classifier:
    """Return the classifier of a model directory, in fp32, in evaluation mode."""
    facts = read_facts(model_dir)
    config = AutoConfig.from_pretrained(model_dir, local_files_only=True)
    task = task_named(facts.task, facts.fit)
    head = task.head(config.hidden_size, task.outputs(len(facts.labels)), dropout)
    separator = _separator(model_dir, config) if facts.pairs else None
    classifier = Classifier(_load_encoder(model_dir, config), head, separator)
    weight, bias = load_head(model_dir)
    linear_of(head).load_state_dict({"weight": weight / classifier.length, "bias": bias})
    return _own_memory(classifier).eval()


def load_head(model_dir: Path) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the head of a model directory, which sees length one.

    Shapes: weight (labels, hidden), bias (labels,), float32.
    """
    weights = load_file(model_dir / DENSE / "model.safetensors")
    return weights["linear.weight"], weights["linear.bias"]


def save_classifier(
    classifier: Classifier,
    encoder: Any,
    directory: Path,
    *,
    facts: ModelFacts,
    tokenizer_from: Path,
) -> None:
    """Write weights, tokenizer, layout and facts of a classifier into a directory.

    `encoder` is the classifier's, with plain layers only.
    """
    encoder.save_pretrained(directory)
    for name in TOKENIZER_FILES:
        if (tokenizer_from / name).is_file():
            shutil.copyfile(tokenizer_from / name, directory / name)
    linear = linear_of(classifier.head)
    (directory / DENSE).mkdir()
    save_file(
        {
            "linear.weight": linear.weight.detach().cpu() * classifier.length,
            "linear.bias": linear.bias.detach().cpu(),
        },
        directory / DENSE / "model.safetensors",
    )
    scales = not task_named(facts.task).has_labels
    if scales:
        (directory / UNIT).mkdir()
        unit = {"linear.weight": [[facts.fit.deviation]], "linear.bias": [facts.fit.mean]}
        tensors = {name: torch.tensor(value) for name, value in unit.items()}
        save_file(tensors, directory / UNIT / "model.safetensors")
    _write_layout(directory, linear, facts.max_length, scales=scales)
    write_json(directory / FACTS_NAME, facts)


def quiet() -> None:
    """Keep transformers' bars and advice out of the job's log."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _write_layout(directory: Path, linear: nn.Linear, max_length: int, *, scales: bool) -> None:
    modules = [
        ("", "Transformer"),
        (POOLING, "Pooling"),
        (NORMALIZE, "Normalize"),
        (DENSE, "Dense"),
        *([(UNIT, "Dense")] if scales else []),
    ]
    _dump(
        directory / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    _dump(
        directory / "sentence_bert_config.json",
        {"max_seq_length": max_length, "do_lower_case": False},
    )
    (directory / POOLING).mkdir()
    _dump(
        directory / POOLING / "config.json",
        {"word_embedding_dimension": linear.in_features, "pooling_mode_mean_tokens": True},
    )
    _dump(directory / DENSE / "config.json", _dense(linear.in_features, linear.out_features))
    if scales:
        _dump(directory / UNIT / "config.json", _dense(1, 1))


def _dense(inputs: int, outputs: int) -> dict[str, int | bool | str]:
    return {
        "in_features": inputs,
        "out_features": outputs,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }


def _load_encoder(directory: Path, config: Any) -> nn.Module:
    options: dict[str, Any] = {
        "config": config,
        "dtype": torch.float32,
        "local_files_only": True,
        "use_safetensors": True,
    }
    try:
        encoder: nn.Module = AutoModel.from_pretrained(
            directory, add_pooling_layer=False, **options
        )
    except TypeError:  # not every architecture has a pooler to leave out
        encoder = AutoModel.from_pretrained(directory, **options)
    return encoder


def _separator(model_dir: Path, config: Any) -> int | None:
    """Return the token before the second text of a pair; null where both have the same type."""
    encoding = Tokenizer.from_file(str(model_dir / "tokenizer.json")).encode("a", "a")
    if int(getattr(config, "type_vocab_size", 0) or 0) < 2 or 1 not in encoding.type_ids:
        return None
    return int(encoding.ids[encoding.type_ids.index(1) - 1])


def _own_memory(classifier: Classifier) -> Classifier:
    # transformers leaves weights in the mapped file, aligned as they lie there. MKL's sums depend
    # on alignment, and a resumed run must add up as the first one did.
    for parameter in classifier.parameters():
        parameter.data = parameter.data.clone()
    return classifier


def linear_of(head: nn.Module) -> nn.Linear:
    """Return the one linear layer of a head."""
    return next(module for module in head.modules() if isinstance(module, nn.Linear))


def _fields(config: Any, names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if isinstance(getattr(config, name, None), float))


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
