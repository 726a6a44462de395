"""Duplicates: rows that repeat another one, and texts that stand under several labels.

Both are looked for within a split file; what one has in common with another is leakage.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tunery.types import ConflictReport, DuplicateReport, Policies, RowGroup
from tunery_trainer.ingest.findings import Notes, counted, quote
from tunery_trainer.ingest.rows import Parts, Row

MAX_GROUPS = 10
_MAX_LINES = 20
_MAX_TEXT = 200  # characters


def settle_conflicts(
    parts: Parts, policies: Policies, notes: Notes
) -> tuple[Parts, ConflictReport]:
    """Return the rows that the policy keeps, and the texts that have several labels."""
    kept: Parts = {}
    examples: list[RowGroup] = []
    texts = dropped = 0
    lines: list[int] = []
    for split, part in parts.items():
        groups = [group for group in _groups(part) if len({row.label for row in group}) > 1]
        chosen = {group[0].key: _chosen(group, policies) for group in groups}
        kept[split] = [row for row in part if row.label in chosen.get(row.key, (row.label,))]
        texts += len(groups)
        dropped += len(part) - len(kept[split])
        lines += [group[0].line for group in groups[:1]]
        examples += map(row_group, groups[: MAX_GROUPS - len(examples)])
        if policies.conflicts == "reject":
            for group in groups:
                labels = ", ".join(quote(label) for label in row_group(group).labels[:5])
                message = f"{quote(group[0].text)} stands under {labels}"
                line = group[0].line
                notes.errors.add("conflicting-duplicates", message, line=line, split=split)
    if texts and policies.conflicts != "reject":
        verb = "stands" if texts == 1 else "stand"
        done = f"; {counted(dropped, 'row')} left out" if policies.conflicts != "keep" else ""
        message = f"{counted(texts, 'text')} {verb} under several labels{done}"
        notes.warnings.add("conflicting-duplicates", message, line=lines[0])
    return kept, ConflictReport(texts=texts, dropped=dropped, examples=examples)


def settle_duplicates(
    parts: Parts, policies: Policies, notes: Notes
) -> tuple[Parts, DuplicateReport]:
    """Return the rows that the policy keeps, and the groups of equal text and label."""
    kept: Parts = {}
    groups: list[RowGroup] = []
    exact = dropped = 0
    lines: list[int] = []
    for split, part in parts.items():
        counts = Counter((row.text, row.label) for row in part)
        repeats = len(part) - len(counts)
        exact += repeats
        kept[split] = part
        if not repeats:
            continue
        same: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in part:
            if counts[row.text, row.label] > 1:
                same[row.text, row.label].append(row)
        found = list(same.values())
        lines += [group[1].line for group in found[:1]]
        groups += map(row_group, found[: MAX_GROUPS - len(groups)])
        if policies.duplicates == "drop":
            firsts = {(row.text, row.label): row for row in reversed(part)}
            kept[split] = list(reversed(firsts.values()))
            dropped += repeats
    if exact:
        verb = "repeats" if exact == 1 else "repeat"
        done = "; left out" if dropped else ""
        message = f"{counted(exact, 'row')} {verb} the text and label of an earlier one{done}"
        notes.warnings.add("exact-duplicates", message, line=lines[0])
    return kept, DuplicateReport(exact=exact, dropped=dropped, groups=groups)


def warn_if_constant(parts: Parts, notes: Notes) -> None:
    """Report rows that all have the same text."""
    keys = {row.key for part in parts.values() for row in part}
    rows = sum(map(len, parts.values()))
    if len(keys) == 1 and rows > 1:
        text = next(row.text for part in parts.values() for row in part)
        message = f"all {rows:,} rows have the text {quote(text)}"
        notes.warnings.add("constant-text", message)


def row_group(rows: Sequence[Row]) -> RowGroup:
    """Return rows of one text as the report shows them."""
    return RowGroup(
        text=rows[0].text[:_MAX_TEXT],
        lines=[row.line for row in rows[:_MAX_LINES]],
        labels=sorted({row.label for row in rows}),
    )


def _groups(part: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of equal text, where there are several, in file order."""
    seen: dict[bytes, Row] = {}
    groups: dict[bytes, list[Row]] = {}
    for row in part:
        first = seen.setdefault(row.key, row)
        if first is not row:
            groups.setdefault(row.key, [first]).append(row)
    return list(groups.values())


def _chosen(group: Sequence[Row], policies: Policies) -> Sequence[str]:
    """Return the labels that a text keeps; a tie has no majority, so none."""
    counts = Counter(row.label for row in group)
    if policies.conflicts == "drop":
        return ()
    if policies.conflicts == "majority":
        most = max(counts.values())
        labels = [label for label, count in counts.items() if count == most]
        return labels if len(labels) == 1 else ()
    return list(counts)
