"""What changed between two datasets, row by row.

Knows rows only as text (a pair has a NUL between its two), label and split; the reader opens the
files. Both datasets are read twice. The first reading cancels out the rows that both have, by their
hashes; the second keeps the others, which between two versions are few. So memory grows with the
number of rows, not with their texts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tunery.types import DatasetDiff, LabelShift, RowChange, RowChanges, Split

MAX_EXAMPLES = 20  # of each kind
MAX_TEXT = 200  # characters of an example
_PARTING = "\0"  # of the texts of a pair; no cell holds it


class Place(NamedTuple):
    """Where a text stands."""

    label: str
    split: Split


Rows = Iterable[tuple[str, Place]]
Pairs = list[tuple[Place, Place]]


def compare(
    before: str,
    after: str,
    rows_before: Callable[[], Rows],
    rows_after: Callable[[], Rows],
    labels_of: Callable[[str], list[str]] = lambda cell: [cell],
) -> DatasetDiff:
    """Return what changed between two datasets; each call of `rows_…` reads the rows anew.

    `labels_of` says which labels a row counts for.
    """
    surplus: Counter[bytes] = Counter()  # by row: how many more there are before than after
    labels_before, labels_after = Counter[str](), Counter[str]()
    for text, place in rows_before():
        surplus[_hash(text, *place)] += 1
        labels_before.update(labels_of(place.label))
    unchanged = 0
    for text, place in rows_after():
        row = _hash(text, *place)
        unchanged += surplus[row] > 0
        surplus[row] -= 1
        labels_after.update(labels_of(place.label))

    changes: dict[bytes, _Change] = {}
    for text, place in _others(rows_before(), surplus, sign=1):
        changes.setdefault(_hash(text), _Change(text)).before.append(place)
    for text, place in _others(rows_after(), surplus, sign=-1):
        changes.setdefault(_hash(text), _Change(text)).after.append(place)

    added, removed, relabelled, moved = _Tally(), _Tally(), _Tally(), _Tally()
    for change in changes.values():
        if change.before and change.after:
            moved.add(change.text, change.pairs(lambda place: place.label))
            relabelled.add(change.text, change.pairs(lambda place: place.split))
            relabelled.add(change.text, change.pairs(lambda place: None))
        removed.add(change.text, [(place, None) for place in change.before])
        added.add(change.text, [(None, place) for place in change.after])
    return DatasetDiff(
        before=before,
        after=after,
        unchanged=unchanged,
        added=added.result(),
        removed=removed.result(),
        relabelled=relabelled.result(),
        moved=moved.result(),
        labels=[
            LabelShift(label=label, before=labels_before[label], after=labels_after[label])
            for label in sorted(labels_before | labels_after)
            if labels_before[label] != labels_after[label]
        ],
    )


class _Change:
    """One text, and where its rows stand that only one of the datasets has."""

    __slots__ = ("after", "before", "text")

    def __init__(self, text: str) -> None:
        self.text = _PARTING.join(part[:MAX_TEXT] for part in text.split(_PARTING))
        self.before: list[Place] = []
        self.after: list[Place] = []

    def pairs(self, alike: Callable[[Place], Hashable]) -> Pairs:
        """Take out the pairs of places that are alike, as many as there are."""
        waiting: defaultdict[Hashable, list[Place]] = defaultdict(list)
        for place in reversed(self.after):
            waiting[alike(place)].append(place)
        pairs, rest = [], []
        for place in self.before:
            partners = waiting[alike(place)]
            if partners:
                pairs.append((place, partners.pop()))
            else:
                rest.append(place)
        self.before = rest
        self.after = [place for places in waiting.values() for place in reversed(places)]
        return pairs


class _Tally:
    """How many rows changed in one way, and the first of them."""

    def __init__(self) -> None:
        self._rows = 0
        self._examples: list[RowChange] = []

    def add(self, text: str, changes: Sequence[tuple[Place | None, Place | None]]) -> None:
        """Count rows of a text, each as where it stood and where it stands."""
        self._rows += len(changes)
        first, _, second = text.partition(_PARTING)
        for before, after in changes[: MAX_EXAMPLES - len(self._examples)]:
            change = RowChange(
                text=first,
                text_pair=second or None,
                label_before=before.label if before else None,
                label_after=after.label if after else None,
                split_before=before.split if before else None,
                split_after=after.split if after else None,
            )
            self._examples.append(change)

    def result(self) -> RowChanges:
        """Return the count with its examples."""
        return RowChanges(rows=self._rows, examples=self._examples)


def _others(rows: Rows, surplus: Counter[bytes], *, sign: int) -> Iterator[tuple[str, Place]]:
    """Yield the rows of which one dataset has more, as often as it has more of them."""
    for text, place in rows:
        row = _hash(text, *place)
        if sign * surplus[row] > 0:
            surplus[row] -= sign
            yield text, place


def _hash(*parts: str) -> bytes:
    # NUL, which no cell holds, parts them. 16 bytes: no two rows of any dataset collide.
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
