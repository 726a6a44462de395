"""Base facts: what a base model's files say about it, without its weights. Imports no torch."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tunery_trainer.failure import Failure
from tunery_trainer.padding import read_pad_id
from tunery_trainer.vocabulary import mask_id_of, special_ids_of, unknown_id_of

DROPOUT_FIELDS = ("hidden_dropout_prob", "dropout")  # of BERT and of DistilBERT
_HIDDEN_FIELDS = ("hidden_size", "dim", "d_model")  # of BERT, of DistilBERT, of others
_LAYER_FIELDS = ("num_hidden_layers", "n_layers", "num_layers")
_HEAD_FIELDS = ("num_attention_heads", "n_heads", "num_heads")
_INNER_FIELDS = ("intermediate_size", "hidden_dim", "d_ff")


class BaseFacts:
    """What the rules look at. `positions` is a multiple of 8, since padded lengths are."""

    def __init__(self, base_dir: Path) -> None:
        for name in ("config.json", "tokenizer.json"):
            if not (base_dir / name).is_file():
                raise Failure("unknown-base-model", f"the base model has no {name}")
        config: dict[str, Any] = json.loads((base_dir / "config.json").read_bytes())
        self.hidden_size = int(_first(config, _HIDDEN_FIELDS))
        self.layers = int(_first(config, _LAYER_FIELDS))
        self.heads = int(_first(config, _HEAD_FIELDS, 1))
        self.inner_size = int(_first(config, _INNER_FIELDS, 4 * self.hidden_size))
        self.pad_id = read_pad_id(base_dir)
        file = base_dir / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(file))
        self.unknown_id = unknown_id_of(file, tokenizer)
        self.mask_id = mask_id_of(file, tokenizer)
        self.special_ids = special_ids_of(tokenizer)
        self.dropout = float(_first(config, DROPOUT_FIELDS, 0.1))
        positions = [float(config.get("max_position_embeddings") or math.inf)]
        if (base_dir / "tokenizer_config.json").is_file():  # RoBERTa's 514 positions hold 512
            facts = json.loads((base_dir / "tokenizer_config.json").read_bytes())
            positions.append(float(facts.get("model_max_length") or math.inf))
        self.positions = int(min(*positions, 8192)) // 8 * 8


def _first(config: dict[str, Any], names: Sequence[str], default: float | None = None) -> float:
    for name in names:
        if isinstance(config.get(name), int | float):
            return float(config[name])
    if default is None:
        raise Failure("unknown-base-model", f"config.json of the base model has no {names[0]}")
    return default
