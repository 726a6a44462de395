"""Packing: texts end to end in a few rows of tokens, so that no token is computed for nothing.

Owns the shapes that a packed graph sees (packed_classifier.py), as padding.py does those of every
other model. Texts of one row don't see each other: `segments` says whose a token is. Imports no
torch.

On BANKING77, where padding makes 2.9 tokens of one, MiniLM answers 1.5 to 2 times as many texts a
second (tests/bench/RESULTS.md).
"""

import heapq
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.padding import bucket_length

ROW_TOKENS = 64  # about, of a row whose longest text is no longer: shorter ones fill badly
ATTENTION_TOKENS = 1500  # of a row whose attention would cost as much as the rest (RESULTS.md)
TEXT_BUCKET = 32  # pooled texts are multiples of it: each shape costs memory, idle ones nothing


class Packed(NamedTuple):
    """One pass: texts laid into rows."""

    input_ids: NDArray[np.int64]  # (rows, tokens)
    positions: NDArray[np.int64]  # (rows, tokens) of a token in its text
    segments: NDArray[np.int64]  # (rows, tokens) number of its text; -1 where nothing lies
    pool: NDArray[np.float32]  # (texts, rows * tokens) weights of each text's mean


PackedForward = Callable[[Packed], NDArray[np.float32]]


def forward_packed(
    token_ids: Sequence[Sequence[int]], forward: PackedForward, *, max_tokens: int
) -> NDArray[np.float32]:
    """Return logits (texts, labels) of token sequences, in their order.

    `forward` gets passes of about `max_tokens` tokens, texts of like length together; it returns
    logits of at least its texts, in their order (texts, labels).
    """
    logits = np.empty((len(token_ids), 0), dtype=np.float32)
    for indices in _passes([len(ids) for ids in token_ids], max_tokens):
        found = forward(pack([token_ids[i] for i in indices]))  # (N, C)
        if not logits.size:
            logits = np.empty((len(token_ids), found.shape[1]), dtype=np.float32)
        logits[indices] = found[: len(indices)]
    return logits


def pack(token_ids: Sequence[Sequence[int]]) -> Packed:
    """Lay texts, the longest first, each into the row that is the least full."""
    lengths = [len(ids) for ids in token_ids]
    rows, begins, fullest = _places(lengths)
    length = bucket_length(fullest)
    shape = max(rows) + 1, length
    starts = np.array(rows) * length + np.array(begins)  # of texts, in rows laid end to end
    texts = np.repeat(np.arange(len(lengths)), lengths)
    positions = np.arange(len(texts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places: NDArray[np.int64] = np.repeat(starts, lengths) + positions
    packed = Packed(
        input_ids=np.zeros(shape, dtype=np.int64),
        positions=np.zeros(shape, dtype=np.int64),
        segments=np.full(shape, -1, dtype=np.int64),
        pool=np.zeros((bucket_length(len(lengths), TEXT_BUCKET), shape[0] * length), np.float32),
    )
    packed.input_ids.flat[places] = np.concatenate([np.asarray(ids, np.int64) for ids in token_ids])
    packed.positions.flat[places] = positions
    packed.segments.flat[places] = texts
    packed.pool[texts, places] = 1.0 / np.repeat(np.maximum(lengths, 1), lengths)
    return packed


def _passes(lengths: list[int], max_tokens: int) -> list[list[int]]:
    """Return text numbers, the longest first, in passes of at most `max_tokens` or one text."""
    passes: list[list[int]] = []
    room = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not passes or lengths[i] > room:
            passes.append([])
            room = max_tokens
        passes[-1].append(i)
        room -= lengths[i]
    return passes


def _places(lengths: list[int]) -> tuple[list[int], list[int], int]:
    """Return the row and the first token of each text, and how full the fullest row is.

    So many rows as cost least: few are filled well, and their attention costs more.
    """
    rows = -(-sum(lengths) // max(ROW_TOKENS, max(lengths)))
    spreads = {count: _spread(lengths, count) for count in range(max(1, rows - 2), rows + 2)}
    return min(spreads.items(), key=lambda each: _cost(each[0], bucket_length(each[1][2])))[1]


def _cost(rows: int, length: int) -> float:
    """Return what a pass costs, of a token without attention."""
    return rows * length * (1 + length / ATTENTION_TOKENS)


def _spread(lengths: list[int], count: int) -> tuple[list[int], list[int], int]:
    """Spread texts over so many rows, each into the one that is the least full."""
    filled = [(0, row) for row in range(count)]  # a heap
    rows, begins = [], []
    for length in lengths:
        begin, row = filled[0]
        rows.append(row)
        begins.append(begin)
        heapq.heapreplace(filled, (begin + length, row))
    return rows, begins, max(filled)[0]
