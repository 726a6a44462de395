"""Near duplicates: pairs of texts that share nine tenths of their 5-grams.

MinHash signatures are cut into bands; texts that agree in a whole band are candidates, and each
candidate is then compared exactly. The bands lie on the disk, one file each, so that memory holds
one of them at a time.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman, Ullman,
Mining of Massive Datasets, 3.4. With 16 bands of 8 rows, 9,999 of 10,000 pairs at 0.9 are found.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
_PIECE_BYTES = 2**20  # of them: their 5-grams take 8 bytes each, several times over
_ALL_PAIRS = 32  # of a bucket; in a larger one each text meets the first one and a few before it
_NEIGHBOURS = 4
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no product loses its low bits
_NOTHING = np.uint64(0)

Pairs = npt.NDArray[np.int64]  # (pairs, 2)


class Sketches:
    """The bands of all texts that have been added, in their order."""

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / f"band-{i}" for i in range(_BANDS)]
        self._sizes = directory / "sizes"
        for path in (*self._paths, self._sizes):
            path.touch()

    def add(self, folded: Sequence[bytes]) -> None:
        """Add folded texts; one that is shorter than a gram has no near duplicate."""
        sizes = np.fromiter(map(len, folded), np.uint32, len(folded))
        for start, end in _pieces(sizes):
            bands = _bands_of(folded[start:end])
            for path, band in zip(self._paths, bands.T, strict=True):
                with path.open("ab") as file:
                    file.write(np.ascontiguousarray(band).tobytes())
        with self._sizes.open("ab") as file:
            file.write(sizes.tobytes())

    def pairs(self, rows: Ints, spool: Spool, normaliser: Normaliser, pulse: Pulse) -> Pairs:
        """Return the pairs among some rows that are near duplicates, the smaller first."""
        candidates = self._candidates(rows, pulse)
        sizes = np.fromfile(self._sizes, np.uint32)
        good = np.zeros(len(candidates), np.bool_)
        for start, end in _pieces(sizes[candidates].sum(axis=1)):
            pulse.beat("comparing", start, len(candidates))
            part = candidates[start:end]
            texts = np.unique(part)
            folded = normaliser.fold_all([text.encode() for text in spool.texts(texts)])
            good[start:end] = _jaccards(folded, np.searchsorted(texts, part)) >= JACCARD
        return candidates[good]

    def _candidates(self, rows: Ints, pulse: Pulse) -> Pairs:
        """Return the pairs among some rows that agree in a band, each once."""
        found = np.empty(0, np.uint64)
        first = band = np.fromfile(self._paths[0], np.uint64)[rows]
        usable = np.flatnonzero(band != _NOTHING)
        for i, path in enumerate(self._paths):
            pulse.beat("comparing", i * len(rows), _BANDS * len(rows))
            path.unlink()  # so that the disk holds less by the time the splits are written
            last = i + 1 == _BANDS
            after = first if last else np.fromfile(self._paths[i + 1], np.uint64)[rows]
            pairs = list(_pairs_of_band(band[usable], after[usable], rows[usable]))
            if pairs:
                found = np.unique(np.concatenate([found, *pairs]))
            band = after
        low, high = found >> np.uint64(32), found & np.uint64(0xFFFFFFFF)
        return np.stack([low, high], axis=1).astype(np.int64)


def _pieces(sizes: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield where pieces of texts start and end whose 5-grams fit into memory."""
    ends = np.cumsum(sizes, dtype=np.int64)
    start = 0
    while start < len(sizes):
        limit = ends[start] - int(sizes[start]) + _PIECE_BYTES
        end = min(int(np.searchsorted(ends, limit, side="right")), start + _BATCH)
        end = max(end, start + 1)
        yield start, end
        start = end


def _bands_of(texts: Sequence[bytes]) -> Hashes:
    """Return the band hashes of texts; zeros for one without a gram. Shape: (texts, bands)."""
    grams, counts = _grams_of(texts)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        grams, offsets, _BANDS * _BAND_ROWS, _SEED
    )
    signature = np.array(matrix.to_rows(), np.uint64).reshape(len(texts), _BANDS, _BAND_ROWS)
    bands = np.full((len(texts), _BANDS), _BASE, np.uint64)
    for i in range(_BAND_ROWS):
        bands = (bands ^ signature[:, :, i]) * _BASE
        bands ^= bands >> np.uint64(29)
    bands[bands == _NOTHING] = 1
    bands[counts == 0] = _NOTHING
    return bands


def _jaccards(texts: Sequence[bytes], pairs: Pairs) -> npt.NDArray[np.float64]:
    """Return how many of their grams the texts of each pair share. Shapes: (pairs, 2); (pairs,)."""
    grams, counts = _grams_of(texts)
    owner = np.repeat(np.arange(len(texts)), counts)
    order = np.lexsort((grams, owner))
    grams, owner = grams[order], owner[order]
    again = (grams[1:] == grams[:-1]) & (owner[1:] == owner[:-1])
    new = np.concatenate(([True], ~again))[: len(grams)]
    grams, sizes = grams[new], np.bincount(owner[new], minlength=len(texts))
    starts = np.cumsum(sizes) - sizes
    pair = np.repeat(np.arange(2 * len(pairs)) // 2, sizes[pairs.reshape(-1)])
    both = grams[_ranges(starts[pairs.reshape(-1)], sizes[pairs.reshape(-1)])]
    order = np.lexsort((both, pair))
    both, pair = both[order], pair[order]
    equal = (both[1:] == both[:-1]) & (pair[1:] == pair[:-1])
    shared = np.bincount(pair[1:][equal], minlength=len(pairs))
    return np.asarray(shared / np.maximum(1, sizes[pairs].sum(axis=1) - shared))


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """Return the numbers of all ranges, one behind the other."""
    jumps = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    return jumps + np.arange(len(jumps))


def _grams_of(texts: Sequence[bytes]) -> tuple[Hashes, Ints]:
    """Return the hashes of all 5-grams, text by text, and how many each has."""
    signs, ends = _code_points(texts)
    grams = _gram_hashes(signs)
    # A gram that crosses into the next text is none.
    starts = np.arange(len(grams))
    owner = np.searchsorted(ends, starts, side="right")
    whole = starts + GRAM <= ends[owner] if len(grams) else np.empty(0, np.bool_)
    return grams[whole], np.maximum(np.diff(ends, prepend=0) - (GRAM - 1), 0)


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


def _pairs_of_band(band: Hashes, after: Hashes, rows: Ints) -> Iterator[Hashes]:
    """Yield the pairs of rows that are equal in a band, each as one number.

    Rows of a bucket stand in the order of the band after it, so that in a large one those meet that
    are most alike.
    """
    order = np.lexsort((after, band))
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
            for distance in range(2, _NEIGHBOURS + 1):
                yield _packed(bucket[:-distance], bucket[distance:])
        elif len(bucket) > 2:
            first, second = np.triu_indices(len(bucket), 1)
            yield _packed(bucket[first], bucket[second])


def _packed(first: Hashes, second: Hashes) -> Hashes:
    return (np.minimum(first, second) << np.uint64(32)) | np.maximum(first, second)
