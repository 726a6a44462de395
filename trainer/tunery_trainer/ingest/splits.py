"""Splits: which row trains, which validates, which tests.

A text's place is a hash of itself and the seed: it depends on no other row, not on the order of
the file, and equal texts stay together. Where that would leave train without a label, its rows
train.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from tunery.types import SPLITS, Split, SplitSpec
from tunery_trainer.ingest.findings import Findings, Notes, counted, quote
from tunery_trainer.ingest.normalise import uniform
from tunery_trainer.ingest.rows import Parts, Row

Splits = dict[Split, list[Row]]

MIN_ROWS = 5  # of a label, before any of them is held out
# Of train, becomes validation where no file is given: a tenth, or more if that is none of few rows.
_CARVED_SHARES = (0.1, 0.2, 0.4)


def check_shares(spec: SplitSpec, errors: Findings) -> None:
    """Report shares that make no split."""
    total = spec.train + spec.validation + spec.test
    if abs(total - 1) > 1e-6 or spec.train <= 0:
        shares = f"{spec.train:g} + {spec.validation:g} + {spec.test:g}"
        errors.add("invalid-split", f"the shares are {shares} = {total:g}")


def share_out(rows: Sequence[Row], spec: SplitSpec, notes: Notes) -> Splits:
    """Return the rows of a single file by split."""
    counts = Counter(row.label for row in rows)
    small = {label for label, count in counts.items() if count < MIN_ROWS}
    lines = {row.label: row.line for row in reversed(rows)}
    for label in sorted(small):
        has = "has" if counts[label] == 1 else "have"
        message = f"{counted(counts[label], 'row')} {has} the label {quote(label)}; all train"
        notes.warnings.add("class-too-small", message, line=lines[label])
    splits = _drawn(rows, validation=spec.validation, test=spec.test, small=small)
    shares: dict[Split, float] = {
        "train": spec.train,
        "validation": spec.validation,
        "test": spec.test,
    }
    empty = [split for split, share in shares.items() if share > 0 and not splits[split]]
    if empty:
        texts = counted(len({row.key for row in rows}), "different text")
        verb = "get" if len(empty) > 1 else "gets"
        message = f"{' and '.join(empty)} {verb} none of the {counted(len(rows), 'row')}, {texts}"
        hint = (
            "Add texts, or raise the share. Equal texts stay in one split, and of each label "
            f"{MIN_ROWS} rows and 2 different texts are needed before one is held out."
        )
        notes.errors.add("invalid-split", message, hint=hint)
    return splits


def carve_validation(parts: Parts, notes: Notes) -> Splits:
    """Return the given splits, with a tenth of train as validation where no file is."""
    splits: Splits = {split: list(parts.get(split, [])) for split in SPLITS}
    if "validation" not in parts:
        for share in _CARVED_SHARES:
            drawn = _drawn(splits["train"], validation=share, test=0.0, small=set())
            if drawn["validation"]:
                splits |= {"train": drawn["train"], "validation": drawn["validation"]}
                break
    for split in SPLITS:
        if not splits[split]:
            hint = "Add rows, or give a validation file." if split == "validation" else None
            notes.errors.add("invalid-split", f"{split} has no row", hint=hint)
    return splits


def _drawn(rows: Sequence[Row], *, validation: float, test: float, small: set[str]) -> Splits:
    """Return the rows by split; the texts of small labels train, whatever their hash says."""

    def place(key: bytes) -> Split:
        drawn = uniform(key)
        if drawn < test:
            return "test"
        return "validation" if drawn < test + validation else "train"

    trained = {row.label for row in rows if row.label not in small and place(row.key) == "train"}
    kept = {row.key for row in rows if row.label not in trained}
    splits: dict[Split, list[Row]] = defaultdict(list)
    for row in rows:
        splits["train" if row.key in kept else place(row.key)].append(row)
    return {split: splits[split] for split in SPLITS}
