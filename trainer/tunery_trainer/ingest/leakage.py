"""Leakage: training texts that a held-out split has, too, which would make its figures a lie."""

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
    exact = normalised = near = dropped = 0
    examples: list[RowGroup] = []
    for split, guards in _GUARDED:
        rows = table.rows(split)
        held = np.concatenate([table.rows(guard) for guard in guards])
        if not len(rows) or not len(held):
            continue
        held_units = np.unique(units.of_row[held])
        of_rows = units.of_row[rows]
        same = np.isin(of_rows, held_units)
        alike = np.isin(of_rows, units.near(held_units)) & ~same
        leaking, leaking_near = rows[same], rows[alike]
        if not len(leaking) and not len(leaking_near):
            continue
        exact += int(np.isin(table.hashes[leaking], table.hashes[held]).sum())
        shared = np.isin(units.of_row[held], of_rows[same])
        shared_near = np.isin(units.of_row[held], units.near(np.unique(of_rows[alike]))) & ~shared
        normalised, near = normalised + int(shared.sum()), near + int(shared_near.sum())
        room = MAX_GROUPS - len(examples)
        examples += _examples(table, units, [*leaking[:room], *leaking_near[:room]][:room], held)
        where = " or ".join(guard for guard in guards if len(table.rows(guard)))
        counts = int(shared.sum()), int(shared_near.sum())
        _report(table, split, where, leaking, leaking_near, counts, policies, notes)
        if policies.leakage == "drop_from_train":
            table.leave_out(leaking, "leakage", notes.dropped)
            table.leave_out(leaking_near, "near-duplicates", notes.dropped)
            dropped += len(leaking) + len(leaking_near)
    return LeakageReport(
        exact=exact, normalised=normalised, near=near, dropped=dropped, examples=examples
    )


def _examples(table: Table, units: Units, rows: list[int], held: Ints) -> list[RowGroup]:
    """Return each row with the first held-out one that it repeats."""
    groups = []
    for row in rows:
        unit = units.of_row[[row]]
        alike = np.concatenate([unit, units.near(unit)])
        partner = next(each for each in held if units.of_row[each] in alike)
        groups.append(table.group([row, partner]))
    return groups


def _report(
    table: Table,
    split: Split,
    where: str,
    leaking: Ints,
    leaking_near: Ints,
    counts: tuple[int, int],
    policies: Policies,
    notes: Notes,
) -> None:
    if policies.leakage == "reject":
        for code, rows in (("leakage", leaking), ("near-duplicates", leaking_near)):
            for row in rows:
                message = f"{quote(table.text(row))} stands in {where}, too"
                notes.errors.add(code, message, line=int(table.lines[row]), split=split)
        return
    drops = policies.leakage == "drop_from_train"
    done = f"left out of {split}" if drops else "kept, so figures will flatter"
    for code, rows, count, likeness in (
        ("leakage", leaking, counts[0], "equal {} of {}, but for case and signs at most"),
        ("near-duplicates", leaking_near, counts[1], "are near duplicates of {} of {}"),
    ):
        if len(rows):
            verb = likeness.format(counted(count, "row"), where)
            if len(rows) == 1:
                verb = verb.replace("equal ", "equals ", 1).replace(
                    "are near duplicates", "is a near duplicate", 1
                )
            message = f"{counted(len(rows), f'{split} row')} {verb}; {done}"
            notes.warnings.add(code, message, line=int(table.lines[rows[0]]), split=split)
