"""Splits: which row trains, which validates, which tests.

Rows of the parent version stay where they are. A new row joins its near duplicates; one that has
them on both sides is left out. Otherwise a hash of the text and the seed decides, which depends on
no other row and not on the order of the file, unless a label of a hundred rows would then miss its
share by more than two points. Where that would leave train without a label, its rows train.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunery.types import SPLITS, SplitSpec
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.near import Pairs
from tunery_trainer.ingest.normalise import uniform
from tunery_trainer.ingest.table import NOWHERE, Ints, Table
from tunery_trainer.ingest.units import Units, clusters_of

MIN_ROWS = 5  # of a label, before any of them is held out
_MANY_ROWS = 100  # of a label, from which on its shares are held
_TOLERANCE = 0.01  # of two shares; then the third one is within twice as much
_TRAIN, _VALIDATION, _TEST = range(3)
# Of train, becomes validation where no file is given: a tenth, or more if that is none of few rows.
_CARVED_SHARES = (0.1, 0.2, 0.4, 0.6, 0.8)

Places = npt.NDArray[np.int8]


def check_shares(spec: SplitSpec, errors: Findings) -> None:
    """Report shares that make no split."""
    total = spec.train + spec.validation + spec.test
    if abs(total - 1) > 1e-6 or spec.train <= 0:
        shares = f"{spec.train:g} + {spec.validation:g} + {spec.test:g}"
        errors.add("invalid-split", f"the shares are {shares} = {total:g}")


def share_out(table: Table, units: Units, spec: SplitSpec, notes: Notes) -> int:
    """Give each row of a single file its split; return how many rows would bridge two and left."""
    rows = table.rows()
    counts = table.counts(rows)
    small = [table.names.index(label) for label, count in counts.items() if count < MIN_ROWS]
    for place in small:
        label, count = table.names[place], counts[table.names[place]]
        has = "has" if count == 1 else "have"
        message = f"{counted(count, 'row')} {has} the label {quote(label)}; all train"
        line = int(table.lines[rows[table.labels[rows] == place][0]])
        notes.warnings.add("class-too-small", message, line=line)
    bridging = _join_parent(table, units, notes)
    _draw(table, units, validation=spec.validation, test=spec.test, small=small)
    shares = (spec.train, spec.validation, spec.test)
    empty = [
        split
        for split, share in zip(SPLITS, shares, strict=True)
        if share > 0 and not len(table.rows(split))
    ]
    if empty:
        texts = counted(len(np.unique(units.of_row[rows])), "different text")
        verb = "get" if len(empty) > 1 else "gets"
        message = f"{' and '.join(empty)} {verb} none of the {counted(len(rows), 'row')}, {texts}"
        hint = (
            "Add texts, or raise the share. Equal texts stay in one split, and of each label "
            f"{MIN_ROWS} rows and 2 different texts are needed before one is held out."
        )
        notes.errors.add("invalid-split", message, hint=hint)
    return bridging


def carve_validation(table: Table, units: Units, notes: Notes) -> None:
    """Take a tenth of train as validation where no row validates."""
    for share in _CARVED_SHARES:
        if len(table.rows("validation")):
            break
        table.splits[table.rows("train")] = NOWHERE
        _draw(table, units, validation=share, test=0.0, small=[])
    for split in SPLITS:
        if not len(table.rows(split)):
            hint = "Add rows, or give a validation file." if split == "validation" else None
            notes.errors.add("invalid-split", f"{split} has no row", hint=hint)


def split_by_time(table: Table, spec: SplitSpec) -> None:
    """Let the oldest rows train and the newest test; rows of one moment stay together."""
    rows = table.rows()
    assert table.asides is not None
    order = rows[np.argsort(table.asides[rows], kind="stable")]
    times = table.asides[order]
    borders = []
    for share in (spec.train, spec.train + spec.validation):
        at = min(len(order) - 1, round(share * len(order)))
        borders.append(int(np.searchsorted(times, times[at], side="left")))
    table.splits[order] = _TEST
    table.splits[order[: borders[1]]] = _VALIDATION
    table.splits[order[: borders[0]]] = _TRAIN


def _join_parent(table: Table, units: Units, notes: Notes) -> int:
    """Give rows the split of the parent's rows that they belong with; leave bridging ones out."""
    parent = np.arange(table.own, len(table.lines))
    if not len(parent):
        return 0
    fixed = np.full(len(units.keys), NOWHERE, np.int8)
    fixed[units.of_row[parent]] = table.splits[parent]
    dropped = _spread(fixed, *_neighbours(table, units))
    rows = table.rows()
    leaving = rows[np.isin(units.of_row[rows], dropped)]
    table.leave_out(leaving, "bridging-row", notes.dropped)
    if len(leaving):
        message = f"{counted(len(leaving), 'row')} would bridge two splits; left out"
        notes.warnings.add("bridging-row", message, line=int(table.lines[leaving[0]]))
    rows = table.rows()
    table.splits[rows] = fixed[units.of_row[rows]]
    return len(leaving)


def _spread(fixed: Places, left: Ints, right: Ints) -> Ints:
    """Fix units beside fixed ones, from neighbour to neighbour; return those between two splits.

    Each round looks at the units beside what the last one has fixed. A unit that would bridge is
    given up, so that nothing follows it.
    """
    dropped = np.zeros(len(fixed), np.bool_)
    while True:
        joins = (fixed[left] != NOWHERE) & (fixed[right] == NOWHERE) & ~dropped[right]
        if not joins.any():
            return np.flatnonzero(dropped)
        targets, wanted = right[joins], fixed[left[joins]]
        low, high = np.full(len(fixed), 9, np.int8), np.full(len(fixed), -9, np.int8)
        np.minimum.at(low, targets, wanted)
        np.maximum.at(high, targets, wanted)
        reached = np.unique(targets)
        agreed = reached[low[reached] == high[reached]]
        dropped[reached[low[reached] != high[reached]]] = True
        # Of this round's, those go that now stand beside a unit of another split.
        fixed[agreed] = low[agreed]
        clash = (fixed[left] != NOWHERE) & (fixed[right] != NOWHERE) & (fixed[left] != fixed[right])
        fresh = np.zeros(len(fixed), np.bool_)
        fresh[agreed] = True
        torn = np.unique(np.concatenate([left[clash & fresh[left]], right[clash & fresh[right]]]))
        fixed[torn] = NOWHERE
        dropped[torn] = True


def _draw(
    table: Table, units: Units, *, validation: float, test: float, small: Sequence[int]
) -> None:
    """Give each kept row that has no split one; those of small labels train in any case."""
    rows = table.rows()
    free = rows[table.splits[rows] == NOWHERE]
    if not len(free):
        return
    left, right = _neighbours(table, units)
    own = np.zeros(len(units.keys), np.bool_)
    own[units.of_row[free]] = True
    inside = own[left] & own[right]
    clusters = clusters_of(len(units.keys), np.stack([left[inside], right[inside]], axis=1))
    cluster_of_row = clusters[units.of_row[free]]
    found, first, members = np.unique(cluster_of_row, return_index=True, return_inverse=True)
    members = members.reshape(-1)
    lead = np.full(len(found), np.iinfo(np.uint64).max)
    np.minimum.at(lead, members, units.keys[units.of_row[free]])
    drawn = _Drawn(
        uniform=uniform(lead),
        sizes=np.bincount(members),
        labels=table.labels[free[first]],
        places=np.full(len(found), _TRAIN, np.int8),
    )
    fixed = rows[table.splits[rows] != NOWHERE]
    for label in np.unique(drawn.labels):
        of_label = fixed[table.labels[fixed] == label]
        before = np.bincount(table.splits[of_label], minlength=3)
        drawn.place(label, before, validation=validation, test=test)
    table.splits[free] = drawn.places[members]
    _train_untrained(table, free, cluster_of_row, small)
    for place, share in ((_TEST, test), (_VALIDATION, validation)):
        if share > 0 and not (table.splits[rows] == place).any():
            _hold_one_out(table, free, drawn, members, place, small)


class _Drawn:
    """Clusters that are to be placed: uniform numbers, sizes in rows, labels; all (clusters,)."""

    def __init__(
        self, *, uniform: npt.NDArray[np.float64], sizes: Ints, labels: Ints, places: Places
    ) -> None:
        self.uniform = uniform
        self.sizes = sizes
        self.labels = labels
        self.places = places

    def place(self, label: int, before: Ints, *, validation: float, test: float) -> None:
        """Place the clusters of a label, of which `before` (3,) rows are placed already."""
        own = np.flatnonzero(self.labels == label)
        own = own[np.argsort(self.uniform[own], kind="stable")]
        drawn, sizes = self.uniform[own], self.sizes[own]
        total = int(sizes.sum() + before.sum())
        border = int(np.searchsorted(drawn, test))
        until = int(np.searchsorted(drawn, test + validation))
        if total >= _MANY_ROWS:
            slack = _TOLERANCE * total
            border = _held(border, 0, sizes, test * total - before[_TEST], slack)
            until = max(border, until)
            until = _held(until, border, sizes, validation * total - before[_VALIDATION], slack)
        self.places[own[border:until]] = _VALIDATION
        self.places[own[:border]] = _TEST


def _held(border: int, start: int, sizes: Ints, wanted: float, slack: float) -> int:
    """Return the border nearest to the drawn one before which as many rows stand as are wanted."""
    behind = np.cumsum(sizes[start:])
    have = 0 if border == start else int(behind[border - start - 1])
    if have > wanted + slack:
        return start + int(np.searchsorted(behind, wanted + slack, side="right"))
    if have < wanted - slack:
        at = int(np.searchsorted(behind, wanted - slack, side="left"))
        return min(len(sizes), start + at + 1)
    return border


def _train_untrained(table: Table, free: Ints, cluster_of_row: Ints, small: Sequence[int]) -> None:
    """Let the clusters of labels train that are small, or that train lacks."""
    trained = np.unique(table.labels[table.rows("train")])
    lacking = ~np.isin(table.labels[free], trained) | np.isin(table.labels[free], small)
    kept = np.isin(cluster_of_row, cluster_of_row[lacking])
    table.splits[free[kept]] = _TRAIN


def _hold_one_out(
    table: Table, free: Ints, drawn: _Drawn, members: Ints, place: int, small: Sequence[int]
) -> None:
    """Hold out the cluster that comes first by its hash, of one whose label still trains without.

    Of few rows a hash may leave a split none.
    """
    training = table.rows("train")
    for cluster in np.argsort(drawn.uniform, kind="stable"):
        own = free[members == cluster]
        others = np.setdiff1d(training, own)
        labels = np.unique(table.labels[own])
        held = (table.splits[own] == _TRAIN).all() and not np.isin(labels, small).any()
        if held and np.isin(labels, table.labels[others]).all():
            table.splits[own] = place
            return


def _neighbours(table: Table, units: Units) -> tuple[Ints, Ints]:
    """Return the units that belong together, each pair in both directions; (links,) each."""
    pairs = (
        units.pairs
        if table.asides is None
        else np.concatenate([units.pairs, _groups(table, units)])
    )
    return np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]])


def _groups(table: Table, units: Units) -> Pairs:
    """Return links that connect the units of each group."""
    assert table.asides is not None
    rows = table.rows()
    order = rows[np.argsort(table.asides[rows], kind="stable")]
    same = table.asides[order][1:] == table.asides[order][:-1]
    links = np.stack([units.of_row[order[:-1][same]], units.of_row[order[1:][same]]], axis=1)
    return np.unique(links, axis=0)
