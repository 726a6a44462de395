"""Samples: files of random sizes and formats, and what their datasets shall be."""

import hashlib
import io
import json
import random

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from tests.e2e.bad_datasets import CSV, JSONL, PARQUET

MIN_BYTES, MAX_BYTES = 1_000, 2_000_000
MIN_ROWS = 60  # of fewer, validation may by chance get none, and then they are no dataset
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
_WORDS = [a + b for a in _SYLLABLES for b in _SYLLABLES]
_WORDS_A_TEXT = 40


class Sample(msgspec.Struct, kw_only=True, frozen=True):
    """A file to upload, and what its dataset shall be."""

    name: str
    media_type: str
    content: bytes
    sha256: str
    rows: int
    error: str | None  # the code of what is wrong with it


def sample(chance: random.Random, name: str) -> Sample:
    """Return a file of a random size and format; one in ten can't become a dataset."""
    size = int(MIN_BYTES * (MAX_BYTES / MIN_BYTES) ** chance.random())
    media_type = chance.choice([CSV, JSONL, PARQUET])
    texts: list[str] = []
    length = 0
    while length < size - 300 or len(texts) < MIN_ROWS:
        words = _WORDS_A_TEXT if size > 8 * MIN_BYTES else 2
        texts.append(" ".join(chance.choices(_WORDS, k=words)) + f" {len(texts)}")
        length += len(texts[-1]) + 10
    labels = ["good" if i % 2 else "bad" for i in range(len(texts))]
    is_bad = chance.random() < 0.1
    content, error = _written(media_type, texts, labels, is_bad=is_bad)
    return Sample(
        name=name,
        media_type=media_type,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        rows=len(texts),
        error=error,
    )


def _written(
    media_type: str, texts: list[str], labels: list[str], *, is_bad: bool
) -> tuple[bytes, str | None]:
    if media_type == CSV:
        pairs = zip(texts, ["good"] * len(texts) if is_bad else labels, strict=True)
        lines = ["text,label", *(f"{text},{label}" for text, label in pairs)]
        return "\n".join(lines).encode() + b"\n", "single-class" if is_bad else None
    if media_type == JSONL:
        pairs = zip(texts, labels, strict=True)
        lines = [json.dumps({"text": text, "label": label}) for text, label in pairs]
        torn = lines[-1][:-3] if is_bad else lines[-1]
        code = "malformed-json-line" if is_bad else None
        return "\n".join([*lines[:-1], torn]).encode() + b"\n", code
    target = io.BytesIO()
    table = pa.table({"text": texts, "label": labels})
    pq.write_table(table, target, compression="none", use_dictionary=False)
    content = target.getvalue()
    if is_bad:
        return content[: len(content) // 2] + b"PAR1", "unreadable-parquet"
    return content, None
