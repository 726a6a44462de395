"""Texts as tokens, and the head that all tasks on texts have.

torch is imported where it is used: engines do without.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tokenizers import Tokenizer

from tunery_trainer.tasks import Text

if TYPE_CHECKING:
    import torch


class Tokens(msgspec.Struct, kw_only=True):
    """Texts as tokens."""

    ids: list[list[int]]  # special tokens included, at most max_length each
    truncated: list[bool]
    first: list[int] = []  # of pairs: tokens of the first text of each, without special ones


class TextEncoder:
    """The tokenizer of a model directory, cutting texts to `max_length` tokens."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # A tokenizer.json may ask for padding and another length; ours are the caller's.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def __call__(self, texts: Sequence[Text]) -> Tokens:
        """Return the tokens of each text, of a pair's longer one cut first."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return Tokens(
            ids=[encoding.ids for encoding in encodings],
            truncated=[bool(encoding.overflowing) for encoding in encodings],
            first=[
                encoding.sequence_ids.count(0)
                for encoding, text in zip(encodings, texts, strict=True)
                if not isinstance(text, str)
            ],
        )


def linear_head(hidden_size: int, outputs: int, dropout: float) -> "torch.nn.Module":
    """Return dropout, then one linear layer.

    Shapes: pooled (batch, hidden) to logits (batch, outputs) float32.
    """
    import torch

    linear = torch.nn.Linear(hidden_size, outputs)
    # The encoder's own range. torch's default is as wide as 1/sqrt(hidden), which starts
    # every label with an opinion of its own.
    torch.nn.init.normal_(linear.weight, std=0.02)
    torch.nn.init.zeros_(linear.bias)
    return torch.nn.Sequential(torch.nn.Dropout(dropout), linear)
