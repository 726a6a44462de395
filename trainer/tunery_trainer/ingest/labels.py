"""Labels: spellings that look like one label, and whether the labels can be learned at all."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tunery.types import LabelVariants, Policies
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.normalise import fold_label, fold_space, fold_width
from tunery_trainer.ingest.rows import Parts, Row

_MAX_CLASSES = 10_000
_MANY_CLASSES = 50  # from here on, more than one class for two rows is too many


def settle_variants(
    parts: Parts, policies: Policies, notes: Notes
) -> tuple[Parts, list[LabelVariants]]:
    """Return the rows, with variants merged if that is the policy, and the variants."""
    rows = Counter(row.label for part in parts.values() for row in part)
    alike: dict[str, list[str]] = defaultdict(list)
    for label in rows:
        alike[fold_label(label)].append(label)
    variants: list[LabelVariants] = []
    merged: dict[str, str] = {}
    for spellings in alike.values():
        if len(spellings) > 1:
            canonical = max(spellings, key=lambda spelling: rows[spelling])
            others = {each: rows[each] for each in spellings if each != canonical}
            why = _differences(spellings)
            variants.append(LabelVariants(canonical=canonical, variants=others, why=why))
            merged |= dict.fromkeys(others, canonical)
    for each in variants:
        line = min(
            row.line for part in parts.values() for row in part if row.label in each.variants
        )
        _report(each, rows[each.canonical], line, policies, notes)
    if policies.labels == "merge" and merged:
        parts = {split: [_spelled(row, merged) for row in part] for split, part in parts.items()}
    return parts, variants


def judge_labels(parts: Parts, errors: Findings) -> None:
    """Report labels that no classifier can learn from these rows."""
    rows = Counter(row.label for part in parts.values() for row in part)
    total = rows.total()
    if len(rows) == 1:
        label = next(iter(rows))
        has = "has" if total == 1 else "have"
        errors.add("single-class", f"{counted(total, 'row')} {has} the one label {quote(label)}")
    if len(rows) > _MAX_CLASSES or _MANY_CLASSES < len(rows) > total / 2:
        message = f"{len(rows):,} labels for {counted(total, 'row')}"
        if len(rows) > _MAX_CLASSES:
            message += f"; at most {_MAX_CLASSES:,} are learned"
        errors.add("too-many-classes", message)
    known = {row.label for split in ("train", None) for row in parts.get(split, [])}
    for split, part in parts.items():
        unseen = Counter(row.label for row in part if row.label not in known)
        lines = {row.label: row.line for row in reversed(part)}
        for label, count in unseen.items():
            message = f"the label {quote(label)} of {counted(count, 'row')} is not in train"
            errors.add("unseen-label", message, line=lines[label], split=split)


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels in the order of the model's outputs: by number if all are integers."""
    distinct = sorted(set(labels))
    if all(each.isascii() and each.removeprefix("-").isdigit() for each in distinct):
        distinct.sort(key=int)
    return distinct


def _differences(spellings: Sequence[str]) -> list[str]:
    """Return what the spellings differ in: what still tells them apart when the rest is folded."""
    apart = {
        "case": {fold_space(fold_width(each)) for each in spellings},
        "width": {fold_space(each.casefold()) for each in spellings},
        "space": {fold_width(each).casefold() for each in spellings},
    }
    return [name for name, forms in apart.items() if len(forms) > 1]


def _report(found: LabelVariants, rows: int, line: int, policies: Policies, notes: Notes) -> None:
    names = {"case": "case", "width": "character width", "space": "space"}
    differ = " and ".join(names[why] for why in found.why) or "composition"
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


def _spelled(row: Row, merged: dict[str, str]) -> Row:
    return replace(row, label=merged[row.label]) if row.label in merged else row
