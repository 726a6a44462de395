"""Duplicates: rows that repeat another one, and texts that stand under several labels.

Both are looked for within a split file; what one has in common with another is leakage.
"""

from collections import Counter

import numpy as np

from tunery.types import ConflictReport, DuplicateReport, Policies, RowGroup
from tunery_trainer.ingest.findings import Notes, counted, quote
from tunery_trainer.ingest.table import Hashes, Ints, Table, runs_of

MAX_GROUPS = 10
_ODD = np.uint64(0x9E3779B97F4A7C15)


def settle_conflicts(table: Table, policies: Policies, notes: Notes) -> ConflictReport:
    """Leave out the rows that the policy does not keep; report the texts with several labels."""
    rows = table.rows()
    ordered, starts, ends = runs_of(_within_split(table, table.keys[rows], rows), rows)
    labels = table.labels[ordered]
    several = np.zeros(0, np.int64)
    if len(ordered):
        differ = np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)
        several = np.flatnonzero(differ)
    several = several[np.argsort(ordered[starts[several]])]  # in file order
    groups = [ordered[starts[i] : ends[i]] for i in several]
    dropped = 0
    for group in groups if policies.conflicts != "keep" else []:
        chosen = _chosen(table.labels[group], policies)
        leaving = group[~np.isin(table.labels[group], chosen)]
        table.leave_out(leaving, "conflicting-duplicates", notes.dropped)
        dropped += len(leaving)
        if policies.conflicts == "reject":
            shown = table.group(group)
            names = ", ".join(map(quote, shown.labels[:5]))
            line, split = shown.lines[0], table.split_of(group[0])
            message = f"{quote(table.text(group[0]))} stands under {names}"
            notes.errors.add("conflicting-duplicates", message, line=line, split=split)
    if groups and policies.conflicts != "reject":
        verb = "stands" if len(groups) == 1 else "stand"
        done = f"; {counted(dropped, 'row')} left out" if policies.conflicts != "keep" else ""
        message = f"{counted(len(groups), 'text')} {verb} under several labels{done}"
        line = int(table.lines[groups[0][0]])
        notes.warnings.add("conflicting-duplicates", message, line=line)
    examples = [table.group(group) for group in groups[:MAX_GROUPS]]
    exact = sum(_differs_exactly(table, group) for group in groups)
    return ConflictReport(texts=len(groups), exact=exact, dropped=dropped, examples=examples)


def _differs_exactly(table: Table, group: Ints) -> bool:
    labels: dict[int, int] = {}  # by text
    hashes, found = table.hashes[group].tolist(), table.labels[group].tolist()
    return any(
        labels.setdefault(text, label) != label for text, label in zip(hashes, found, strict=True)
    )


def settle_duplicates(table: Table, policies: Policies, notes: Notes) -> DuplicateReport:
    """Leave out rows that repeat another one, if that is the policy, and report them."""
    rows = table.rows()
    same = table.hashes[rows] * _ODD + table.labels[rows].astype(np.uint64)
    ordered, starts, ends = runs_of(_within_split(table, same, rows), rows)
    several = np.flatnonzero(ends - starts > 1)
    several = several[np.argsort(ordered[starts[several]])]
    exact = int((ends - starts)[several].sum()) - len(several)
    groups: list[RowGroup] = []
    dropped = 0
    if exact:
        groups = [table.group(ordered[starts[i] : ends[i]]) for i in several[:MAX_GROUPS]]
        if policies.duplicates == "drop":
            repeats = np.ones(len(ordered), np.bool_)
            repeats[starts] = False
            table.leave_out(np.sort(ordered[repeats]), "exact-duplicates", notes.dropped)
            dropped = exact
        verb = "repeats" if exact == 1 else "repeat"
        done = "; left out" if dropped else ""
        message = f"{counted(exact, 'row')} {verb} the text and label of an earlier one{done}"
        line = int(table.lines[ordered[starts[several[0]] + 1]])
        notes.warnings.add("exact-duplicates", message, line=line)
    return DuplicateReport(exact=exact, dropped=dropped, groups=groups)


def warn_if_constant(table: Table, notes: Notes) -> None:
    """Report rows that all have the same text."""
    rows = table.rows()
    if len(rows) > 1 and (table.keys[rows] == table.keys[rows[0]]).all():
        message = f"all {len(rows):,} rows have the text {quote(table.text(int(rows[0])))}"
        notes.warnings.add("constant-text", message)


def _within_split(table: Table, values: Hashes, rows: Ints) -> Hashes:
    """Return values of rows that are equal only within a split file."""
    return (values ^ (table.splits[rows].astype(np.uint64) + np.uint64(2))) * _ODD


def _chosen(labels: Ints, policies: Policies) -> list[int]:
    """Return the labels that a text keeps; a tie has no majority, so none."""
    counts = Counter(labels.tolist())
    if policies.conflicts == "drop":
        return []
    if policies.conflicts == "majority":
        most = max(counts.values())
        chosen = [label for label, count in counts.items() if count == most]
        return chosen if len(chosen) == 1 else []
    return list(counts)
