"""Normalising: when two texts count as the same, and when two labels look the same.

Everything that compares rows (splits, leakage, conflicts) compares by these functions alone.
"""

import unicodedata
from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]

_PARTING = b"\0"  # of the texts of a pair; no cell holds it
_LOWER = bytes(range(256)).lower()


class _Signs(dict[int, int | None]):
    """A translate table, filled as characters turn up: None for signs, spaces and controls.

    Symbols stay, since emoji carry meaning, save those that stand for an apostrophe (Sk); so do
    combining marks, which are vowels in Hindi.
    """

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        self[code] = None if category[0] in "PZC" or category == "Sk" else code
        return self[code]


class Normaliser:
    """Folds what two texts may differ in and still be the same: case, signs and space."""

    def __init__(self) -> None:
        self._signs = _Signs()
        self._ascii_signs = bytes(code for code in range(1, 128) if self._signs[code] is None)

    def fold(self, text: str) -> str:
        """Return the text without case, punctuation and space; one of signs only stays itself."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        return folded.translate(self._signs) or folded.strip()

    def fold_all(self, texts: Sequence[bytes]) -> list[bytes]:
        """Return UTF-8 texts without case, punctuation and space; ASCII is folded all at once.

        A pair, with a NUL between its texts (see pairs.py), keeps it: each text is folded alone.
        """
        if any(_PARTING in text for text in texts):
            parts = iter(self.fold_all([part for text in texts for part in text.split(_PARTING)]))
            return [_PARTING.join(islice(parts, 1 + text.count(_PARTING))) for text in texts]
        joined = _PARTING.join(texts)
        if not joined.isascii():
            return [
                self._fold_ascii(text) if text.isascii() else self.fold(text.decode()).encode()
                for text in texts
            ]
        folded = joined.translate(_LOWER, self._ascii_signs).split(_PARTING)
        return [each or text.lower().strip() for each, text in zip(folded, texts, strict=True)]

    def _fold_ascii(self, text: bytes) -> bytes:
        return text.translate(_LOWER, self._ascii_signs) or text.lower().strip()


def hashes(texts: Sequence[bytes], seed: int = 0) -> Hashes:
    """Return a 64-bit number for each text: uniform, and the same for ever.

    Shapes: texts (rows); returns (rows,). Source: XXH3, whose output is frozen since 0.8.0.
    """
    hash_of = xxhash.xxh3_64_intdigest
    return np.fromiter((hash_of(text, seed) for text in texts), np.uint64, len(texts))


def uniform(keys: Hashes) -> npt.NDArray[np.float64]:
    """Return the places of keys in [0, 1)."""
    return (keys >> np.uint64(11)) / 2.0**53  # 53 bits, so that 1.0 is never reached


def mixed(numbers: Hashes) -> Hashes:
    """Return numbers that look random. Source: Steele, Lea, Flood 2014, SplitMix64."""
    found = numbers * np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def fold_label(label: str) -> str:
    """Return what spellings of one label have in common: no case, width, or outer space."""
    return fold_space(fold_width(label).casefold())


def fold_width(label: str) -> str:
    """Return the label with full-width and composed characters in their plain form."""
    return unicodedata.normalize("NFKC", label)


def fold_space(label: str) -> str:
    """Return the label without outer space, and with single blanks inside."""
    return " ".join(label.split())
