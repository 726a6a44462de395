"""Leakage: training texts that a held-out file has, too, which would make its figures a lie."""

from tunery.types import LeakageReport, Policies, RowGroup, Split
from tunery_trainer.ingest.duplicates import MAX_GROUPS, row_group
from tunery_trainer.ingest.findings import Notes, counted, quote
from tunery_trainer.ingest.rows import Parts, Row

_GUARDED: tuple[tuple[Split, tuple[Split, ...]], ...] = (
    ("train", ("test", "validation")),
    ("validation", ("test",)),
)


def settle_leakage(parts: Parts, policies: Policies, notes: Notes) -> tuple[Parts, LeakageReport]:
    """Return the rows without those that the policy drops, and what the splits have in common.

    Validation rows that the test file has are dropped, too: they choose the checkpoint.
    """
    kept = dict(parts)
    exact = normalised = dropped = 0
    examples: list[RowGroup] = []
    for split, guards in _GUARDED:
        others = tuple(other for other in guards if parts.get(other))
        held_out = {row.key: row for other in others for row in parts.get(other, [])}
        leaking = [row for row in parts.get(split, []) if row.key in held_out]
        if not leaking:
            continue
        texts = {row.text for other in others for row in parts.get(other, [])}
        keys = {row.key for row in leaking}
        same = sum(row.text in texts for row in leaking)
        shared = sum(row.key in keys for other in others for row in parts.get(other, []))
        exact, normalised = exact + same, normalised + shared
        pairs = [[row, held_out[row.key]] for row in leaking[: MAX_GROUPS - len(examples)]]
        examples += map(row_group, pairs)
        if policies.leakage == "drop_from_train":
            kept[split] = [row for row in parts[split] if row.key not in held_out]
            dropped += len(leaking)
        _report(split, others, leaking, shared, policies, notes)
    report = LeakageReport(exact=exact, normalised=normalised, dropped=dropped, examples=examples)
    return kept, report


def _report(
    split: Split,
    others: tuple[Split, ...],
    leaking: list[Row],
    shared: int,
    policies: Policies,
    notes: Notes,
) -> None:
    where = " or ".join(others)
    if policies.leakage == "reject":
        for row in leaking:
            message = f"{quote(row.text)} stands in {where}, too"
            notes.errors.add("leakage", message, line=row.line, split=split)
        return
    equal = "equals" if len(leaking) == 1 else "equal"
    message = f"{counted(len(leaking), f'{split} row')} {equal} {counted(shared, 'row')} of {where}"
    if policies.leakage == "drop_from_train":
        message += f", but for case and signs; left out of {split}"
    else:
        message += ", but for case and signs; kept, so figures will flatter"
    notes.warnings.add("leakage", message, line=leaking[0].line, split=split)
