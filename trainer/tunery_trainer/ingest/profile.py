"""Profile: what the texts are made of: their scripts, and their length in a base model's tokens.

Scripts are counted over all texts, tokens on a sample of them. Knows no labels and no splits.
"""

import functools
import math
import unicodedata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from tunery.types import LengthReport
from tunery_trainer.ingest.findings import Notes, quote
from tunery_trainer.ingest.normalise import mixed
from tunery_trainer.ingest.pairs import parted
from tunery_trainer.vocabulary import unknown_id_of

MAX_SAMPLE = 10_000  # texts; a share of 1 % is then right to 0.2 points
_MAX_SAMPLE_CHARACTERS = 8_000_000  # half a second a million; 10,000 whole books would take hours
_MAX_UNKNOWN = 0.1
_MAX_TRUNCATED = 0.01
_CHUNK = 512  # texts cut at a time: their encodings take a few kB each
_SHOWN_LIMITS = (64, 128, 256, 512)

SCRIPTS = (
    *("latin", "han", "kana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari"),
    *("thai", "other", "emoji"),
)
# First and last code unit of UTF-16. Source: Unicode 16, Blocks.txt. A high surrogate stands for
# its 1,024 characters.
_BLOCKS = (
    *(("latin", 0x0041, 0x02AF), ("latin", 0x1E00, 0x1EFF), ("latin", 0x2C60, 0x2C7F)),
    *(("latin", 0xA720, 0xA7FF), ("latin", 0xFB00, 0xFB06), ("latin", 0xFF21, 0xFF5A)),
    *(("han", 0x3005, 0x3007), ("han", 0x3400, 0x4DBF), ("han", 0x4E00, 0x9FFF)),
    *(("han", 0xF900, 0xFAFF), ("han", 0xD840, 0xD88D)),
    *(("kana", 0x3041, 0x30FF), ("kana", 0x31F0, 0x31FF), ("kana", 0xFF66, 0xFF9F)),
    *(("hangul", 0x1100, 0x11FF), ("hangul", 0x3131, 0x318E), ("hangul", 0xA960, 0xA97F)),
    *(("hangul", 0xAC00, 0xD7FF), ("hangul", 0xFFA0, 0xFFDC)),
    *(("cyrillic", 0x0400, 0x052F), ("cyrillic", 0x1C80, 0x1C8F), ("cyrillic", 0x2DE0, 0x2DFF)),
    *(("cyrillic", 0xA640, 0xA69F), ("greek", 0x0370, 0x03FF), ("greek", 0x1F00, 0x1FFF)),
    *(("arabic", 0x0600, 0x06FF), ("arabic", 0x0750, 0x077F), ("arabic", 0x08A0, 0x08FF)),
    *(("arabic", 0xFB50, 0xFDFF), ("arabic", 0xFE70, 0xFEFC)),
    *(("hebrew", 0x0590, 0x05FF), ("hebrew", 0xFB1D, 0xFB4F)),
    *(("devanagari", 0x0900, 0x097F), ("devanagari", 0xA8E0, 0xA8FF), ("thai", 0x0E00, 0x0E7F)),
    *(("emoji", 0x2600, 0x27BF), ("emoji", 0xD83C, 0xD83E)),
)
# Code points that are all letters, and common.
_WHOLE = (("han", 0x4E00, 0x9FFF), ("hangul", 0xAC00, 0xD7A3), ("cyrillic", 0x0410, 0x044F))
_NONE = len(SCRIPTS)
_BLOCK = 2**16  # bytes or code units at a time: what is between stays in the cache

Classes = npt.NDArray[np.uint8]
Letters = npt.NDArray[np.int64]


class Profile:
    """The texts that were added, as numbers and a sample.

    `positions` is the most tokens that the base model takes. Without a tokenizer there are no
    lengths.
    """

    def __init__(
        self, base_model: str | None, tokenizer_file: Path | None, positions: int = 512
    ) -> None:
        self._base_model = base_model or "none"
        self._tokenizer_file = tokenizer_file
        self._positions = positions
        self._letters: Letters = np.zeros(len(SCRIPTS) + 1, np.int64)
        self._sample = _Sample()
        self._cut: _Cut | None = None

    def add(self, texts: pa.Array) -> None:
        """Add texts; nulls are left out.

        Shapes: texts (rows) string or large_string.
        """
        if texts.null_count:
            texts = texts.drop_null()
        if len(texts):
            self._letters += _letters_of(_bytes_of(texts))
            if self._tokenizer_file is not None:
                self._sample.add(texts)
                self._cut = None

    def scripts(self) -> dict[str, float]:
        """Return each script's share of the letters and emoji, the largest first.

        Marks and digits are none; what rounds to nothing is left out.
        """
        letters = self._letters[:_NONE]
        total = int(letters.sum())
        shares = {
            name: round(int(count) / total, 4)
            for name, count in zip(SCRIPTS, letters, strict=True)
            if count
        }
        found = {name: share for name, share in shares.items() if share}
        return dict(sorted(found.items(), key=lambda each: -each[1]))

    def lengths(self) -> LengthReport | None:
        """Return the lengths in tokens; null without a tokenizer or without texts."""
        cut = self._cut_sample()
        if cut is None:
            return None
        p50, p95, p99 = (
            int(np.percentile(cut.lengths, share, method="higher")) for share in (50, 95, 99)
        )
        return LengthReport(
            base_model=self._base_model,
            p50=p50,
            p95=p95,
            p99=p99,
            max=int(cut.lengths.max()),
            sampled=len(cut.lengths),
            truncated_at={str(limit): cut.over(limit) for limit in _SHOWN_LIMITS},
            suggested_max_length=min(max(16, math.ceil(p99 / 8) * 8), self._positions),
            unknown_share=round(cut.unknown / max(1, cut.words), 4),
        )

    def warn(self, notes: Notes) -> None:
        """Warn of texts that the base model can't read well."""
        report, cut = self.lengths(), self._cut_sample()
        if report is None or cut is None:
            return
        name = quote(self._base_model)
        if report.unknown_share > _MAX_UNKNOWN:
            message = f"{report.unknown_share:.1%} of the tokens are unknown to {name}"
            notes.warnings.add("unknown-tokens", message)
        over = cut.over(self._positions)
        if over > _MAX_TRUNCATED:
            message = (
                f"{over:.1%} of the texts have more than the {self._positions:,} tokens that"
                f" {name} takes; the longest has {report.max:,}"
            )
            notes.warnings.add("texts-truncated", message)

    def _cut_sample(self) -> "_Cut | None":
        texts = self._sample.texts()
        if self._tokenizer_file is None or not texts:
            return None
        if self._cut is None:
            self._cut = _cut(self._tokenizer_file, texts)
        return self._cut


def script_of(text: str) -> str:
    """Return the script of most letters and emoji of a text; `none` where it has neither."""
    counts = _letters_of(np.frombuffer(text.encode(), np.uint8))[:_NONE]
    return SCRIPTS[int(counts.argmax())] if counts.any() else "none"


class _Sample:
    """The texts whose row numbers have the smallest hashes: uniform, and the same for ever."""

    def __init__(self) -> None:
        self._rows = 0
        self._held: list[tuple[int, str]] = []  # hash, text
        self._characters = 0
        self._below = 2**64 - 1

    def add(self, texts: pa.Array) -> None:
        hashes = mixed(np.arange(self._rows, self._rows + len(texts), dtype=np.uint64))
        self._rows += len(texts)
        places = np.flatnonzero(hashes < np.uint64(self._below))
        chosen = texts.take(pa.array(places)).to_pylist()
        self._held += zip(map(int, hashes[places]), chosen, strict=True)
        self._characters += sum(map(len, chosen))
        if len(self._held) > 2 * MAX_SAMPLE or self._characters > 2 * _MAX_SAMPLE_CHARACTERS:
            self._shrink()

    def texts(self) -> list[str]:
        self._shrink()
        return [text for _, text in self._held]

    def _shrink(self) -> None:
        self._held.sort()
        while self._held and (
            len(self._held) > MAX_SAMPLE
            or (self._characters > _MAX_SAMPLE_CHARACTERS and len(self._held) > 1)
        ):
            self._below, text = self._held.pop()
            self._characters -= len(text)


class _Cut:
    """The sample in tokens."""

    def __init__(self, lengths: list[int], words: int, unknown: int) -> None:
        self.lengths = np.array(lengths)
        self.words = words  # tokens but the special ones
        self.unknown = unknown

    def over(self, limit: int) -> float:
        """Return the share of the texts that have more tokens."""
        return round(float((self.lengths > limit).mean()), 4)


def _cut(path: Path, texts: list[str]) -> _Cut:
    """Return the texts in tokens, whole, whatever padding and truncation the file asks for."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    unknown_id = unknown_id_of(path, tokenizer)
    special = tokenizer.num_special_tokens_to_add(is_pair=parted(texts[0])[1] is not None)
    lengths: list[int] = []
    unknown = 0
    for start in range(0, len(texts), _CHUNK):
        pairs = map(parted, texts[start : start + _CHUNK])
        inputs = [first if second is None else (first, second) for first, second in pairs]
        for encoding in tokenizer.encode_batch_fast(inputs):
            ids = encoding.ids
            lengths.append(len(ids))
            unknown += 0 if unknown_id is None else ids.count(unknown_id)
    return _Cut(lengths, sum(lengths) - special * len(lengths), unknown)


def _bytes_of(texts: pa.Array) -> Classes:
    """Return the UTF-8 of all texts, joined; nothing is copied."""
    _, ends, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(ends, width, len(texts) + 1, texts.offset * np.dtype(width).itemsize)
    if data is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]


def _letters_of(joined: Classes) -> Letters:
    """Return how many letters of each script there are; the last is what is no letter.

    Shapes: joined (bytes); returns (scripts + 1,).
    """
    counts = np.zeros(len(SCRIPTS) + 1, np.int64)
    for start in range(0, len(joined), _BLOCK):
        part = joined[start : start + _BLOCK]
        # All but letters wrap around to 26 and more; bytes from 0x80 on do, too.
        counts[0] += np.count_nonzero(((part | 0x20) - np.uint8(ord("a"))) < 26)
    if not len(joined) or joined.max() < 0x80:
        return counts
    # What is not ASCII is whole characters, since every byte of such a one has its first bit set.
    high = joined >= 0x80
    if np.count_nonzero(high) < len(joined) // 2:
        joined = joined[high]
    text = joined.tobytes().decode("utf-8", "replace")
    units = np.frombuffer(text.encode("utf-16-le"), np.uint16)
    for start in range(0, len(units), _BLOCK):
        counts += _classified(units[start : start + _BLOCK])
    return counts


def _classified(units: npt.NDArray[np.uint16]) -> Letters:
    """Return the counts of code units that are not ASCII; large blocks that are whole go first."""
    counts = np.zeros(len(SCRIPTS) + 1, np.int64)
    for name, first, last in _WHOLE:
        within = (units - np.uint16(first)) <= np.uint16(last - first)
        count = int(np.count_nonzero(within))
        counts[SCRIPTS.index(name)] += count
        if count:
            units = units[~within]
    return counts + np.bincount(_classes()[units], minlength=len(counts))


@functools.cache
def _classes() -> Classes:
    """Return the script of each code unit of UTF-16; what is no letter and no emoji has none."""
    classes = np.full(2**16, _NONE, np.uint8)
    other = SCRIPTS.index("other")
    for unit in range(0x80, 2**16):
        if unicodedata.category(chr(unit)).startswith("L"):
            classes[unit] = other
    classes[0xD800:0xDC00] = other
    classes[0xD83C:0xD83F] = SCRIPTS.index("emoji")
    for name, first, last in _BLOCKS:
        block = classes[first : last + 1]
        script = SCRIPTS.index(name)
        block[(block == other) | (name == "emoji")] = script
    return classes
