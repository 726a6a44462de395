"""Near duplicates: pairs of texts that share nine tenths of their 5-grams.

MinHash signatures are cut into bands; texts that agree in a whole band are candidates, and each
candidate is then compared exactly. The bands lie on the disk, one file each, so that memory holds
one of them at a time.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman, Ullman,
Mining of Massive Datasets, 3.4. With 16 bands of 8 rows, 9,999 of 10,000 pairs at 0.9 are found.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rensa

from tunery_trainer.ingest.normalise import Normaliser
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.table import Hashes, Ints, Spool

JACCARD = 0.9
GRAM = 5  # characters
_BANDS, _BAND_ROWS = 16, 8
_SEED = 42
_BATCH = 4096  # texts sketched at a time
_PIECE_BYTES = 2**20  # of them: their 5-grams take 8 bytes a character, several times over
_ALL_PAIRS = 32  # of a bucket; in a larger one each text meets the first and the one before it
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no product loses its low bits
_NOTHING = np.uint64(0)

Pairs = npt.NDArray[np.int64]  # (pairs, 2)


class Sketches:
    """The bands of all texts that have been added, in their order."""

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f"band-{i}" for i in range(_BANDS)]
        for path in self._paths:
            path.touch()

    def add(self, folded: Sequence[bytes]) -> None:
        """Add folded texts; one that is shorter than a gram has no near duplicate."""
        for part in _pieces(folded):
            bands = _bands_of(part)
            for path, band in zip(self._paths, bands.T, strict=True):
                with path.open("ab") as file:
                    file.write(np.ascontiguousarray(band).tobytes())

    def candidates(self, rows: Ints, pulse: Pulse) -> Pairs:
        """Return the pairs among some rows that agree in a band; each once, the smaller first."""
        found = np.empty(0, np.uint64)
        for i, path in enumerate(self._paths):
            pulse.beat("comparing", i * len(rows), _BANDS * len(rows))
            band = np.fromfile(path, np.uint64)[rows]
            path.unlink()  # so that the disk holds less by the time the splits are written
            usable = np.flatnonzero(band != _NOTHING)
            pairs = list(_pairs_of_band(band[usable], rows[usable]))
            if pairs:
                found = np.unique(np.concatenate([found, *pairs]))
        low, high = found >> np.uint64(32), found & np.uint64(0xFFFFFFFF)
        return np.stack([low, high], axis=1).astype(np.int64)


def near_pairs(pairs: Pairs, spool: Spool, normaliser: Normaliser, pulse: Pulse) -> Pairs:
    """Return the candidates that are near duplicates indeed."""
    good = np.zeros(len(pairs), np.bool_)
    for start in range(0, len(pairs), _BATCH):
        pulse.beat("comparing", start, len(pairs))
        part = pairs[start : start + _BATCH]
        rows = np.unique(part)
        texts = [text.encode() for text in spool.texts(rows)]
        grams = [_grams(each) for each in normaliser.fold_all(texts)]
        places = np.searchsorted(rows, part)
        good[start : start + len(part)] = [
            _jaccard(grams[first], grams[second]) >= JACCARD for first, second in places
        ]
    return pairs[good]


def _pieces(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the texts in pieces whose 5-grams fit into memory."""
    start = size = 0
    for i, text in enumerate(texts):
        size += len(text)
        if size > _PIECE_BYTES or i - start >= _BATCH:
            yield texts[start : i + 1]
            start, size = i + 1, 0
    if start < len(texts):
        yield texts[start:]


def _bands_of(texts: Sequence[bytes]) -> Hashes:
    """Return the band hashes of texts; zeros for one without a gram. Shape: (texts, bands)."""
    signs, ends = _code_points(texts)
    sizes = np.diff(ends, prepend=0)
    grams = _gram_hashes(signs)
    # A gram that crosses into the next text is none.
    starts = np.arange(len(grams))
    owner = np.searchsorted(ends, starts, side="right")
    whole = starts + GRAM <= ends[owner] if len(grams) else np.empty(0, np.bool_)
    counts = np.maximum(sizes - (GRAM - 1), 0)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        grams[whole], offsets, _BANDS * _BAND_ROWS, _SEED
    )
    signature = np.array(matrix.to_rows(), np.uint64).reshape(len(texts), _BANDS, _BAND_ROWS)
    bands = np.full((len(texts), _BANDS), _BASE, np.uint64)
    for i in range(_BAND_ROWS):
        bands = (bands ^ signature[:, :, i]) * _BASE
        bands ^= bands >> np.uint64(29)
    bands[bands == _NOTHING] = 1
    bands[counts == 0] = _NOTHING
    return bands


def _code_points(texts: Sequence[bytes]) -> tuple[npt.NDArray[np.uint64], Ints]:
    """Return the characters of texts in one row, and where each text ends."""
    joined = b"".join(texts)
    if joined.isascii():
        signs = np.frombuffer(joined, np.uint8)
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    else:
        decoded = [text.decode() for text in texts]
        signs = np.frombuffer("".join(decoded).encode("utf-32-le"), np.uint32)
        sizes = np.fromiter(map(len, decoded), np.int64, len(texts))
    return signs.astype(np.uint64), np.cumsum(sizes)


def _gram_hashes(signs: npt.NDArray[np.uint64]) -> Hashes:
    if len(signs) < GRAM:
        return np.empty(0, np.uint64)
    count = len(signs) - GRAM + 1
    hashes = np.zeros(count, np.uint64)
    for i in range(GRAM):
        hashes = hashes * _BASE + signs[i : i + count]
    hashes ^= hashes >> np.uint64(32)
    hashes *= _BASE
    return hashes ^ (hashes >> np.uint64(29))


def _pairs_of_band(band: Hashes, rows: Ints) -> Iterator[Hashes]:
    """Yield the pairs of rows that are equal in a band, each as one number."""
    order = np.argsort(band, kind="stable")
    ordered, numbers = band[order], rows[order].astype(np.uint64)
    equal = ordered[1:] == ordered[:-1]
    if not equal.any():
        return
    yield _packed(numbers[:-1][equal], numbers[1:][equal])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], equal, [False])).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        bucket = numbers[start : end + 1]
        if len(bucket) > _ALL_PAIRS:
            yield _packed(np.repeat(bucket[:1], len(bucket) - 1), bucket[1:])
        elif len(bucket) > 2:
            first, second = np.triu_indices(len(bucket), 1)
            yield _packed(bucket[first], bucket[second])


def _packed(first: Hashes, second: Hashes) -> Hashes:
    return (np.minimum(first, second) << np.uint64(32)) | np.maximum(first, second)


def _grams(text: bytes) -> frozenset[str]:
    decoded = text.decode()
    return frozenset(decoded[i : i + GRAM] for i in range(len(decoded) - GRAM + 1))


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    both = len(first & second)
    return both / max(1, len(first) + len(second) - both)
