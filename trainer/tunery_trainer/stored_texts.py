"""Stored texts: the texts of a dataset's splits, single or in pairs, read from their Parquet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tunery_trainer.tasks import Text

PAIR = "text_pair"  # the column of the second texts; where it is, rows are pairs


def has_pairs(parquet: Path) -> bool:
    """Return whether the rows of a split are pairs."""
    return PAIR in pq.read_schema(parquet).names


def text_columns(parquet: Path) -> list[str]:
    """Return the columns that hold the texts of a split."""
    return ["text", PAIR] if has_pairs(parquet) else ["text"]


def joined(text: Text) -> str:
    """Return a text as it is, and a pair as one, which no single text is."""
    return text if isinstance(text, str) else "\0".join(text)


def texts_of(columns: Sequence[Any]) -> list[Text]:
    """Return the texts of one column, or the pairs of two; shapes: Arrow columns (rows)."""
    lists: list[list[str]] = [column.to_pylist() for column in columns]
    if len(lists) == 1:
        return list(lists[0])
    return list(zip(lists[0], lists[1], strict=True))
