"""Padding: sequences of any lengths as few, well-filled arrays, and their results in order again.

Owns the shapes that models see, in training and in every runtime. Imports no torch.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BUCKET = 8  # padded lengths are multiples of it, so that kernels see few shapes
BATCH_ROWS = 64
MAX_TOKENS = {"cpu": 1024, "cuda": 32_768}  # padded, of one pass; more falls out of a core's cache
Forward = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]


def bucket_length(length: int, bucket: int = BUCKET) -> int:
    """Return the padded length of `length` tokens, which may be none at all."""
    return max(1, -(-length // bucket)) * bucket


def read_pad_id(model_dir: Path) -> int:
    """Return the token that pads; RoBERTa counts positions from what is not it."""
    config: dict[str, object] = json.loads((model_dir / "config.json").read_bytes())
    pad_id = config.get("pad_token_id")
    return pad_id if isinstance(pad_id, int) else 0


def padded(
    ids: Sequence[Sequence[int]], pad_id: int, bucket: int = BUCKET
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return input_ids and attention_mask (batch, tokens), tokens rounded up to the bucket."""
    input_ids = np.full(
        (len(ids), bucket_length(max(map(len, ids)), bucket)), pad_id, dtype=np.int64
    )
    attention_mask = np.zeros_like(input_ids)  # (B, T)
    for i, row in enumerate(ids):
        input_ids[i, : len(row)] = row
        attention_mask[i, : len(row)] = 1
    return input_ids, attention_mask


def length_batches(
    lengths: NDArray[np.int32], *, max_rows: int, max_tokens: int
) -> list[NDArray[np.int64]]:
    """Return row numbers, longest first, in batches of at most `max_tokens` with padding.

    A row that is longer alone is a batch alone.
    """
    batches = []
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        size = max(1, min(max_rows, max_tokens // bucket_length(int(lengths[order[0]]))))
        batches.append(order[:size])
        order = order[size:]
    return batches


def forward_in_batches(
    token_ids: Sequence[Sequence[int]], forward: Forward, *, pad_id: int, max_tokens: int
) -> NDArray[np.float32]:
    """Return logits (rows, labels) of token sequences, in their order.

    `forward` gets input_ids and attention_mask (batch, tokens), batches of like length; returns
    logits (batch, labels).
    """
    lengths = np.fromiter((len(ids) for ids in token_ids), dtype=np.int32, count=len(token_ids))
    logits = np.empty((len(token_ids), 0), dtype=np.float32)
    for indices in length_batches(lengths, max_rows=BATCH_ROWS, max_tokens=max_tokens):
        found = forward(*padded([token_ids[i] for i in indices], pad_id))  # (B, C)
        if not logits.size:
            logits = np.empty((len(token_ids), found.shape[1]), dtype=np.float32)
        logits[indices] = found
    return logits
