"""Splits: which row trains, which validates, which tests.

Rows of the parent version stay where they are. A new row joins what it is tied to: its near
duplicates and its group; one that is tied to two splits is left out. Otherwise a hash of the text
and the seed decides, which depends on no other row and not on the order of the file, unless a label
of a hundred rows would then miss its share by more than two points; or, where the spec names a
column of times, the time. Where that would leave train without a label, its rows train.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunery.types import SPLITS, Split, SplitSpec
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.normalise import mixed, uniform
from tunery_trainer.ingest.table import NOWHERE, Ints, Mask, Table, runs_of
from tunery_trainer.ingest.units import Units, clusters_of

MIN_ROWS = 5  # of a label, before any of them is held out
_MANY_ROWS = 100  # of a label, from which on its shares are held
_TOLERANCE = 0.01  # of two shares; then the third one is within twice as much
_TRAIN, _VALIDATION, _TEST = range(3)
_CARVED_SHARE = 0.1  # of train, becomes validation where no file is given

Places = npt.NDArray[np.int8]


def check_shares(spec: SplitSpec, errors: Findings, *, files: int) -> None:
    """Report shares that make no split, and columns that would move rows of split files."""
    total = spec.train + spec.validation + spec.test
    if abs(total - 1) > 1e-6 or spec.train <= 0:
        shares = f"{spec.train:g} + {spec.validation:g} + {spec.test:g}"
        errors.add("invalid-split", f"the shares are {shares} = {total:g}")
    for name in ("time_column", "column"):
        if files > 1 and getattr(spec, name) is not None:
            errors.add("invalid-split", f"{name} splits a single file; here are {files}")


def share_out(table: Table, units: Units, spec: SplitSpec, notes: Notes) -> int:
    """Give each row of a single file its split; return how many rows would bridge two and left."""
    rows = table.rows()
    small = _small_labels(table, rows, notes)
    ties = _ties_of(table, units)
    bridging = _join_parent(table, units, ties, notes)
    _draw(table, units, ties, validation=spec.validation, test=spec.test, small=small)
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


def split_by_time(table: Table, units: Units, spec: SplitSpec, notes: Notes) -> int:
    """Let the oldest of the new rows train and the newest test; return how many bridged and left.

    Rows of one moment stay together.
    """
    bridging = _join_parent(table, units, _ties_of(table, units), notes)
    rows = table.rows()
    _place_by_time(table, rows[table.splits[rows] == NOWHERE], spec.train, spec.validation)
    return bridging


def carve_validation(table: Table, units: Units, notes: Notes) -> None:
    """Take a tenth of train as validation where no row validates: by hash, or the newest."""
    train = table.rows("train")
    if not len(table.rows("validation")):
        table.splits[train] = NOWHERE
        if table.times is None:
            ties = _ties_of(table, units)
            _draw(table, units, ties, validation=_CARVED_SHARE, test=0.0, small=[])
        else:
            _place_by_time(table, train, 1 - _CARVED_SHARE, _CARVED_SHARE)
    report_empty(table, SPLITS, notes)


def report_empty(table: Table, splits: Sequence[Split], notes: Notes) -> None:
    """Report splits that have no row."""
    for split in splits:
        if not len(table.rows(split)):
            hint = "Add rows, or give a validation file." if split == "validation" else None
            notes.errors.add("invalid-split", f"{split} has no row", hint=hint)


def _small_labels(table: Table, rows: Ints, notes: Notes) -> list[int]:
    """Report the labels that have too few rows to hold one out; return their places."""
    owners, labels = table.of_labels(rows)
    owners, labels = owners[labels != table.unnamed], labels[labels != table.unnamed]
    places, first, counts = np.unique(labels, return_index=True, return_counts=True)
    small: list[int] = []
    for i in sorted(np.flatnonzero(counts < MIN_ROWS), key=lambda i: table.label_names[places[i]]):
        has = "has" if counts[i] == 1 else "have"
        label = quote(table.label_names[places[i]])
        message = f"{counted(int(counts[i]), 'row')} {has} the label {label}; all train"
        line = int(table.lines[rows[owners[first[i]]]])
        notes.warnings.add("class-too-small", message, line=line)
        small.append(int(places[i]))
    return small


@dataclass(frozen=True)
class _Ties:
    """What may not be parted. Nodes are the units, and behind them the groups.

    Shapes: `left`, `right` (ties,), each tie in both directions; `groups` (own rows,), the node of
    each row's group.
    """

    nodes: int
    left: Ints
    right: Ints
    groups: Ints | None


def _ties_of(table: Table, units: Units) -> _Ties:
    nodes, links, groups = len(units.keys), units.pairs, None
    if table.groups is not None:
        found, members = np.unique(table.groups, return_inverse=True)
        groups = nodes + members.reshape(-1)
        rows = table.rows()
        links = np.concatenate([links, np.stack([units.of_row[rows], groups[rows]], axis=1)])
        nodes += len(found)
    both = np.concatenate([links, links[:, ::-1]])
    return _Ties(nodes, both[:, 0], both[:, 1], groups)


def _join_parent(table: Table, units: Units, ties: _Ties, notes: Notes) -> int:
    """Give rows the split of the parent's rows that they belong with; leave bridging ones out."""
    parent = np.arange(table.own, len(table.lines))
    if not len(parent):
        return 0
    fixed = np.full(ties.nodes, NOWHERE, np.int8)
    fixed[units.of_row[parent]] = table.splits[parent]
    rows = table.rows()
    new = fixed[units.of_row[rows]] == NOWHERE
    torn = np.zeros(ties.nodes, np.bool_)
    # Groups go first: then a row between its group and a text of another split leaves alone.
    to_group = ties.right >= len(units.keys)
    _spread(fixed, torn, ties.left[to_group], ties.right[to_group])
    _spread(fixed, torn, ties.left, ties.right)
    bridges = torn[units.of_row[rows]]
    if ties.groups is not None:
        bridges |= torn[ties.groups[rows]]
    leaving = rows[new & bridges]
    table.leave_out(leaving, "bridging-row", notes.dropped)
    if len(leaving):
        message = f"{counted(len(leaving), 'row')} would bridge two splits; left out"
        notes.warnings.add("bridging-row", message, line=int(table.lines[leaving[0]]))
    rows = table.rows()
    table.splits[rows] = fixed[units.of_row[rows]]
    return len(leaving)


def _spread(fixed: Places, torn: Mask, left: Ints, right: Ints) -> None:
    """Fix nodes beside fixed ones, from neighbour to neighbour; tear those between two splits.

    Each round looks at the nodes beside what the last one has fixed. A torn node has no split, so
    that nothing follows it.
    """
    while True:
        joins = (fixed[left] != NOWHERE) & (fixed[right] == NOWHERE) & ~torn[right]
        if not joins.any():
            return
        targets, wanted = right[joins], fixed[left[joins]]
        low, high = np.full(len(fixed), 9, np.int8), np.full(len(fixed), -9, np.int8)
        np.minimum.at(low, targets, wanted)
        np.maximum.at(high, targets, wanted)
        reached = np.unique(targets)
        agreed = reached[low[reached] == high[reached]]
        torn[reached[low[reached] != high[reached]]] = True
        # Of this round's, those go that now stand beside a node of another split.
        fixed[agreed] = low[agreed]
        clash = (fixed[left] != NOWHERE) & (fixed[right] != NOWHERE) & (fixed[left] != fixed[right])
        fresh = np.zeros(len(fixed), np.bool_)
        fresh[agreed] = True
        gone = np.unique(np.concatenate([left[clash & fresh[left]], right[clash & fresh[right]]]))
        fixed[gone] = NOWHERE
        torn[gone] = True


def _draw(
    table: Table,
    units: Units,
    ties: _Ties,
    *,
    validation: float,
    test: float,
    small: Sequence[int],
) -> None:
    """Give each kept row that has no split one; those of small labels train in any case."""
    rows = table.rows()
    free = rows[table.splits[rows] == NOWHERE]
    if not len(free):
        return
    clusters, members = np.unique(_clusters(units, ties, free), return_inverse=True)
    members = members.reshape(-1)
    # A cluster goes where one of its texts goes, chosen by another hash: the text with the least
    # number of many would nearly always go to test.
    keys = units.keys[units.of_row[free]]
    order = np.lexsort((mixed(keys), members))
    lead = order[np.searchsorted(members[order], np.arange(len(clusters)))]
    numbers, sizes = uniform(keys[lead]), np.bincount(members)
    places = np.full(len(clusters), _TRAIN, np.int8)
    before = np.zeros((table.unnamed + 1, len(SPLITS)), np.int64)
    fixed = rows[table.splits[rows] != NOWHERE]
    np.add.at(before, (table.strata(fixed), table.splits[fixed]), 1)
    if not test:
        before[:, _TEST] = 0  # a tenth of train is carved, whatever the test file holds
    labels = table.strata(free[lead])
    ordered, starts, ends = runs_of(labels, np.arange(len(clusters)))
    for start, end in zip(starts, ends, strict=True):
        own = ordered[start:end]
        own = own[np.argsort(numbers[own], kind="stable")]
        held = before[labels[own[0]]]
        places[own] = _placed(sizes[own], numbers[own], held, validation=validation, test=test)
    table.splits[free] = places[members]
    _train_untrained(table, free, members, small)
    for place, share in ((_TEST, test), (_VALIDATION, validation)):
        if share > 0 and not (table.splits[rows] == place).any():
            _hold_one_out(table, free, members, numbers, place, small)


def _clusters(units: Units, ties: _Ties, free: Ints) -> Ints:
    """Return the cluster of each free row: all that may not be parted."""
    own = np.zeros(ties.nodes, np.bool_)
    own[units.of_row[free]] = True
    if ties.groups is not None:
        own[ties.groups[free]] = True
    inside = own[ties.left] & own[ties.right]
    links = np.stack([ties.left[inside], ties.right[inside]], axis=1)
    return clusters_of(ties.nodes, links)[units.of_row[free]]


def _placed(
    sizes: Ints, numbers: npt.NDArray[np.float64], before: Ints, *, validation: float, test: float
) -> Places:
    """Return the places of a label's clusters, of which `before` (3,) rows are placed already.

    Shapes: `sizes` in rows, `numbers` in [0, 1) and rising; (clusters,), and so is the result.
    """
    total = int(sizes.sum() + before.sum())
    slack = _TOLERANCE * total if total >= _MANY_ROWS else float("inf")
    places = np.full(len(sizes), _TRAIN, np.int8)
    border = 0.0
    for place, share in ((_TEST, test), (_VALIDATION, validation)):
        border += share
        if share > 0:
            free = np.flatnonzero(places == _TRAIN)
            wanted = share * total - int(before[place])
            taken = _taken(sizes[free], numbers[free] < border, wanted, slack)
            places[free[taken]] = place
    return places


def _taken(sizes: Ints, drawn: Mask, wanted: float, slack: float) -> Mask:
    """Return which clusters make about as many rows as are wanted: the drawn ones, if they do."""
    low, high = wanted - slack, wanted + slack
    if low <= sizes[drawn].sum() <= high:
        return drawn
    taken = np.zeros(len(sizes), np.bool_)
    have = 0
    for i, size in enumerate(sizes.tolist()):
        if (drawn[i] or have < low) and have + size <= high:
            taken[i] = True
            have += size
    left = np.flatnonzero(~taken)
    if have < low and len(left):  # each that is left is too large; is it better than none?
        nearest = left[np.argmin(np.abs(have + sizes[left] - wanted))]
        taken[nearest] = abs(have + sizes[nearest] - wanted) < wanted - have
    return taken


def _train_untrained(table: Table, free: Ints, members: Ints, small: Sequence[int]) -> None:
    """Let the clusters of labels train that are small, or that train lacks."""
    _, trained = table.of_labels(table.rows("train"))
    owners, labels = table.of_labels(free)
    lacking = ~np.isin(labels, trained) | np.isin(labels, small)
    table.splits[free[np.isin(members, members[owners[lacking]])]] = _TRAIN


def _hold_one_out(
    table: Table,
    free: Ints,
    members: Ints,
    numbers: npt.NDArray[np.float64],
    place: int,
    small: Sequence[int],
) -> None:
    """Hold out the cluster that comes first by its hash, of one whose labels still train without.

    Of few rows a hash may leave a split none.
    """
    owners, labels = table.of_labels(free)
    training = table.splits[free[owners]] == _TRAIN
    trained_in = np.zeros(table.unnamed + 1, np.int64)  # clusters, by label
    pairs = np.unique(np.stack([labels[training], members[owners[training]]], axis=1), axis=0)
    np.add.at(trained_in, pairs[:, 0], 1)
    trained_in[table.of_labels(np.setdiff1d(table.rows("train"), free))[1]] += 1
    needed = (trained_in < 2)[labels] | np.isin(labels, small) | ~training
    able = np.ones(len(numbers), np.bool_)
    able[members[owners[needed]]] = False
    if able.any():
        first = np.argmin(np.where(able, numbers, 2.0))
        table.splits[free[members == first]] = place


def _place_by_time(table: Table, rows: Ints, train: float, validation: float) -> None:
    """Let the oldest of some rows train, the next ones validate, the newest test.

    Each that has a share gets a moment at least, as long as there are some.
    """
    if not len(rows):
        return
    assert table.times is not None
    order, _, ends = runs_of(table.times[rows], rows)
    table.splits[order] = _TRAIN
    shares = ((_VALIDATION, validation), (_TEST, 1 - train - validation))
    parts = [(place, share) for place, share in shares if share > 1e-6]
    reached = train
    for i, (place, share) in enumerate(parts):
        able = ends[: max(1, len(ends) - (len(parts) - i))]
        border = able[np.argmin(np.abs(able - reached * len(order)))]
        table.splits[order[border:]] = place
        ends = ends[ends > border]
        reached += share
        if not len(ends):
            return
