"""Labels: spellings that look like one label, and whether the labels can be learned at all."""

from collections.abc import Iterable

import numpy as np

from tunery.types import LabelVariants, Policies
from tunery_trainer.ingest.findings import Notes, counted, quote
from tunery_trainer.ingest.meanings import find_variants, hidden_characters, strange_letters
from tunery_trainer.ingest.table import Ints, Table

_MAX_CLASSES = 10_000
_MANY_CLASSES = 50  # from here on, more than one class for two rows is too many


def settle_variants(
    table: Table, policies: Policies, notes: Notes
) -> tuple[list[LabelVariants], int]:
    """Merge the variants of one label, if that is the policy; return them, and the rows changed."""
    rows = table.rows()
    counts = table.counts(rows)
    if len(counts) > _MAX_CLASSES:  # refused in any case
        return [], 0
    variants = find_variants(counts)
    first = _first_rows(table, rows)
    canonical: dict[str, str] = {}
    for each in variants:
        line = int(table.lines[min(first[spelling] for spelling in each.variants)])
        _report(each, counts[each.canonical], line, policies, notes)
        canonical |= dict.fromkeys(each.variants, each.canonical)
    if policies.labels != "merge" or not variants:
        return variants, 0
    return variants, _spell(table, canonical, rows)


def _spell(table: Table, canonical: dict[str, str], rows: Ints) -> int:
    """Write labels as their canonical spelling says; return how many of some rows have changed."""
    spelled: dict[str, int] = {}
    merged = np.empty(len(table.names), np.int64)
    differs = np.zeros(len(table.names), np.bool_)
    for i, cell in enumerate(table.names):
        labels = table.task.labels_of(cell)
        new = table.task.cell_of([canonical.get(label, label) for label in labels])
        merged[i] = spelled.setdefault(new, len(spelled))
        differs[i] = new != cell
    changed = int(differs[table.labels[rows]].sum())
    table.labels = merged[table.labels]
    table.name_cells(list(spelled))
    return changed


def judge_labels(table: Table, notes: Notes) -> None:
    """Report labels that no classifier can learn from these rows."""
    rows = table.rows()
    counts = table.counts(rows)
    total = len(rows)
    errors = notes.errors
    cells = np.unique(table.labels[rows])
    if len(cells) == 1:
        label = table.names[cells[0]]
        has = "has" if total == 1 else "have"
        errors.add("single-class", f"{counted(total, 'row')} {has} the one label {quote(label)}")
    if len(counts) > _MAX_CLASSES or _MANY_CLASSES < len(counts) > total / 2:
        message = f"{len(counts):,} labels for {counted(total, 'row')}"
        if len(counts) > _MAX_CLASSES:
            message += f"; at most {_MAX_CLASSES:,} are learned"
        errors.add("too-many-classes", message)
    for label in counts:
        odd = [*hidden_characters(label), *strange_letters(label)]
        if odd:
            message = f"the label {quote(label)} holds {', '.join(odd)}"
            notes.warnings.add("confusable-label", message)


def judge_held_labels(table: Table, notes: Notes, *, least: int) -> None:
    """Report labels that only train has, or only what is held out, once there are splits.

    That of fewer than `least` rows none is held out has been said.
    """
    known = table.counts(table.rows("train"))
    tested = table.counts(table.rows("test"))
    for label, count in known.items():
        if tested and label not in tested and count >= least:
            message = (
                f"no test row has the label {quote(label)}, {counted(count, 'row')} of train do"
            )
            notes.warnings.add("untested-label", message)
    for split in ("validation", "test"):
        held = table.rows(split)
        counts = table.counts(held)
        for label, row in _first_rows(table, held).items():
            if label not in known:
                rows = counted(counts[label], "row")
                message = f"the label {quote(label)} of {rows} is not in train"
                line = int(table.lines[row])
                notes.errors.add("unseen-label", message, line=line, split=split)


def _first_rows(table: Table, rows: Ints) -> dict[str, int]:
    """Return the first of some rows that each label has."""
    owners, labels = table.of_labels(rows)
    places, first = np.unique(labels, return_index=True)
    found = zip(places.tolist(), rows[owners[first]].tolist(), strict=True)
    return {table.label_names[place]: row for place, row in found if place != table.unnamed}


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels in the order of the model's outputs: by number if all are integers."""
    distinct = sorted(set(labels))
    if all(each.isascii() and each.removeprefix("-").isdigit() for each in distinct):
        distinct.sort(key=int)
    return distinct


def _report(found: LabelVariants, rows: int, line: int, policies: Policies, notes: Notes) -> None:
    names = {"width": "character width", "look-alike": "letters that look alike"}
    differ = " and ".join(names.get(why, why) for why in found.why)
    listed = ", ".join(f"{quote(each)} ({n:,})" for each, n in found.variants.items())
    message = f"{quote(found.canonical)} ({rows:,} rows) differs only in {differ} from {listed}"
    if policies.labels == "reject":
        notes.errors.add("near-duplicate-labels", message, line=line)
    elif policies.labels == "merge":
        message = f"{message}; merged into {quote(found.canonical)}"
        notes.warnings.add(
            "near-duplicate-labels", message, line=line, hint="policies.labels is merge."
        )
    else:
        hint = "They are learned as different labels; set policies.labels to merge them."
        notes.warnings.add("near-duplicate-labels", message, line=line, hint=hint)
