"""Normalising: when two texts count as the same, and when two labels look the same.

Everything that compares rows (splits, leakage, conflicts) compares by these functions alone.
"""

import unicodedata
from hashlib import blake2b


class _Signs(dict[int, int | None]):
    """A translate table, filled as characters turn up: None for signs, spaces and controls.

    Symbols stay, since emoji carry meaning, save those that stand for an apostrophe (Sk); so do
    combining marks, which are vowels in Hindi.
    """

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        self[code] = None if category[0] in "PZC" or category == "Sk" else code
        return self[code]


class TextKeys:
    """Turns texts into 16-byte keys: equal for texts that differ in case, signs and spaces only.

    The key is blake2b of the normalised text, keyed with the seed, so its first half is also the
    uniform number that a split is drawn with.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed.to_bytes(8, "big")
        self._signs = _Signs()

    def normalise(self, text: str) -> str:
        """Return the text without case, punctuation and space; one of signs only stays itself."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        return folded.translate(self._signs) or folded.strip()

    def key(self, text: str) -> bytes:
        """Return the key of a text.

        Raises:
            UnicodeEncodeError: the text holds a lone surrogate.
        """
        return blake2b(self.normalise(text).encode(), key=self._seed, digest_size=16).digest()


def uniform(key: bytes) -> float:
    """Return a key's place in [0, 1)."""
    return (int.from_bytes(key[:8], "big") >> 11) / 2**53  # 53 bits, so that 1.0 is never reached


def fold_label(label: str) -> str:
    """Return what spellings of one label have in common: no case, width, or outer space."""
    return fold_space(fold_width(label).casefold())


def fold_width(label: str) -> str:
    """Return the label with full-width and composed characters in their plain form."""
    return unicodedata.normalize("NFKC", label)


def fold_space(label: str) -> str:
    """Return the label without outer space, and with single blanks inside."""
    return " ".join(label.split())
