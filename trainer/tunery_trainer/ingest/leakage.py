"""Leakage: training texts that a held-out split has, too, which would make its figures a lie."""

from typing import NamedTuple

import numpy as np

from tunery.types import LeakageReport, Policies, RowGroup, Split
from tunery_trainer.ingest.duplicates import MAX_GROUPS
from tunery_trainer.ingest.findings import Notes, counted, quote
from tunery_trainer.ingest.table import Ints, Table
from tunery_trainer.ingest.units import Units

_GUARDED: tuple[tuple[Split, tuple[Split, ...]], ...] = (
    ("train", ("test", "validation")),
    ("validation", ("test",)),
)


def settle_leakage(table: Table, units: Units, policies: Policies, notes: Notes) -> LeakageReport:
    """Leave out the rows that the policy drops; report what the splits have in common.

    Validation rows that the test split has are dropped, too: they choose the checkpoint.
    """
    exact, normalised, near, grouped = np.zeros((4, len(table.lines)), np.bool_)
    examples: list[RowGroup] = []
    dropped = 0
    for split, guards in _GUARDED:
        rows = table.rows(split)
        held = np.concatenate([table.rows(guard) for guard in guards])
        if not len(rows) or not len(held):
            continue
        of_rows, of_held = units.of_row[rows], units.of_row[held]
        same = np.isin(of_rows, of_held)
        shared = np.isin(of_held, of_rows[same])
        alike = np.isin(of_rows, units.near(np.unique(of_held))) & ~same
        shared_near = np.isin(of_held, units.near(np.unique(of_rows[alike]))) & ~shared
        akin = np.zeros(len(rows), np.bool_)
        shared_groups = np.zeros(len(held), np.bool_)
        if table.groups is not None:
            groups, held_groups = table.groups[rows], table.groups[held]
            akin = np.isin(groups, held_groups) & ~same & ~alike
            shared_groups = np.isin(held_groups, groups) & ~shared & ~shared_near
        exact[rows[same]] |= np.isin(table.hashes[rows[same]], table.hashes[held])
        normalised[held[shared]] = near[held[shared_near]] = True
        grouped[held[shared_groups]] = True
        room = MAX_GROUPS - len(examples)
        shown = [*rows[same][:room], *rows[alike][:room]][:room]
        examples += _examples(table, units, shown, held)
        where = " or ".join(guard for guard in guards if len(table.rows(guard)))
        for kind, leaking, count in (
            (_SAME, rows[same], shared.sum()),
            (_ALIKE, rows[alike], shared_near.sum()),
            (_AKIN, rows[akin], shared_groups.sum()),
        ):
            if len(leaking):
                _report(
                    table,
                    kind,
                    split,
                    f"{counted(int(count), 'row')} of {where}",
                    leaking,
                    policies,
                    notes,
                )
                if policies.leakage == "drop_from_train":
                    table.leave_out(leaking, kind.code, notes.dropped)
                    dropped += len(leaking)
    return LeakageReport(
        exact=int(exact.sum()),
        normalised=int(normalised.sum()),
        near=int(near.sum()),
        grouped=int(grouped.sum()),
        dropped=dropped,
        examples=examples,
    )


class _Kind(NamedTuple):
    """A way in which rows leak: the code, and what is said of one row and of several."""

    code: str
    one: str
    several: str


_SAME = _Kind(
    "leakage",
    "equals {}, but for case and signs at most",
    "equal {}, but for case and signs at most",
)
_ALIKE = _Kind("near-duplicates", "is a near duplicate of {}", "are near duplicates of {}")
_AKIN = _Kind("leakage", "is of a group that {} are of", "are of groups that {} are of")


def _examples(table: Table, units: Units, rows: list[int], held: Ints) -> list[RowGroup]:
    """Return each row with the first held-out one that it repeats."""
    groups = []
    for row in rows:
        unit = units.of_row[[row]]
        alike = np.concatenate([unit, units.near(unit)])
        partner = held[np.isin(units.of_row[held], alike)][0]
        groups.append(table.group([row, int(partner)]))
    return groups


def _report(
    table: Table,
    kind: _Kind,
    split: Split,
    what: str,
    leaking: Ints,
    policies: Policies,
    notes: Notes,
) -> None:
    if policies.leakage == "reject":
        for row in leaking:
            message = f"{quote(table.text(int(row)))} {kind.one.format(what)}"
            notes.errors.add(kind.code, message, line=int(table.lines[row]), split=split)
        return
    drops = policies.leakage == "drop_from_train"
    done = f"left out of {split}" if drops else "kept, so figures will flatter"
    said = (kind.one if len(leaking) == 1 else kind.several).format(what)
    message = f"{counted(len(leaking), f'{split} row')} {said}; {done}"
    notes.warnings.add(kind.code, message, line=int(table.lines[leaking[0]]), split=split)
