"""Columns: finds the text and the label, as they were named or by what they look like.

Owns the guess. A name is taken exactly as given, or not at all; look-alikes are only proposed.
"""

import difflib
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from tunery.types import Columns, ColumnsUsed
from tunery_trainer.ingest.findings import Findings, counted, quote
from tunery_trainer.ingest.normalise import fold_label

SAMPLE_ROWS = 1000
MAX_COLUMNS = 1000
_MAX_LISTED = 50
_LOOKED_AT = 1000  # characters of a cell
_TEXT_NAMES = (
    "text", "sentence", "content", "review", "utterance", "query", "question", "message",
    "comment", "body", "document", "title", "文本", "评论", "内容", "句子", "正文", "问题", "话语",
    "评价", "标题",
)  # fmt: skip
_LABEL_NAMES = (
    "label", "labels", "category", "intent", "class", "target", "sentiment", "topic", "tag", "y",
    "标签", "类别", "分类", "意图", "情感", "类型", "主题",
)  # fmt: skip


# Names of the two texts of a pair; they are taken for one only where both are there.
_PAIR_NAMES = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("question1", "question2"),
    ("premise", "hypothesis"), ("text_a", "text_b"), ("text1", "text2"), ("句子1", "句子2"),
)  # fmt: skip


class Chosen(NamedTuple):
    """The names of all columns, those that are read, and whether the first line holds the names."""

    names: Sequence[str]
    used: ColumnsUsed
    header: bool


def choose(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    wanted: Columns | None,
    aside: str | None,
    errors: Findings,
    *,
    may_lack_header: bool = False,
) -> Chosen | None:
    """Return the columns to read, or report why there are none.

    `aside` is another column that must be there. Where the first line may be a row, too, names that
    look like one give way to column_1, column_2, …
    Shapes: names (columns); sample (rows, columns), of which ragged rows are left out.
    """
    if len(names) > MAX_COLUMNS:
        message = f"there are {len(names):,} columns; at most {MAX_COLUMNS:,} are read"
        errors.add("too-many-columns", message, line=1)
        return None
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    for name in repeated:
        message = f"{quote(name)} is the name of {counted(names.count(name), 'column')}"
        errors.add("duplicate-column", message, line=1, column=name)
    if repeated:
        return None
    numbered = [f"column_{i}" for i in range(1, len(names) + 1)]
    if wanted is not None:
        asked = set(names_of(wanted))
        header = not may_lack_header or bool(asked & set(names)) or not asked <= set(numbered)
        names = names if header else numbered
        used = _named(names, wanted, errors)
    else:
        found = _guessed(names, sample, errors, may_lack_header=may_lack_header)
        header = found is None or found.header
        names = names if header else numbered
        used = None if found is None else found.used
    if used is None or (aside is not None and not _has(names, aside, errors)):
        return None
    return Chosen(names, used, header)


def names_of(columns: Columns | ColumnsUsed) -> list[str]:
    """Return the names of the columns that are read."""
    pair = [] if columns.text_pair is None else [columns.text_pair]
    return [columns.text, columns.label, *pair]


def _named(names: Sequence[str], wanted: Columns, errors: Findings) -> ColumnsUsed | None:
    found = [_has(names, name, errors) for name in names_of(wanted)]
    if not all(found):
        return None
    return ColumnsUsed(
        text=wanted.text,
        label=wanted.label,
        text_pair=wanted.text_pair,
        label_separator=wanted.label_separator,
        inferred=False,
    )


def _has(names: Sequence[str], name: str, errors: Findings) -> bool:
    if name not in names:
        folded = fold_label(name)
        alike = [other for other in names if fold_label(other) == folded]
        alike = alike or difflib.get_close_matches(name, names, n=1, cutoff=0.75)
        hint = f"Did you mean {' or '.join(map(quote, alike[:3]))}?" if alike else None
        message = f"there is no column {quote(name)}; {_listed(names)}"
        errors.add("missing-column", message, hint=hint, line=1, column=name)
        return False
    return True


def _guessed(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    errors: Findings,
    *,
    may_lack_header: bool,
) -> Chosen | None:
    values = {
        name: [row[i] for row in sample if len(row) == len(names)]
        for i, name in enumerate(names)
        if name
    }
    text, pair = _pair_by_name(names)
    text, label = text or _by_name(names, _TEXT_NAMES), _by_name(names, _LABEL_NAMES)
    by_content = text is None or label is None
    text = text or max(
        (name for name in values if name != label),
        key=lambda name: _wordiness(values[name]),
        default=None,
    )
    label = label or min(
        (name for name in values if name not in (text, pair) and _is_label(values[name])),
        key=lambda name: len(set(values[name])),
        default=None,
    )
    if text is None or label is None:
        which = " nor ".join(
            kind for kind, name in (("text", text), ("label", label)) if name is None
        )
        message = f"no column looks like the {which}; {_listed(names)}"
        errors.add("missing-column", message, line=1)
        return None
    header = not (may_lack_header and by_content and label in values[label])
    shown = names if header else [f"column_{i}" for i in range(1, len(names) + 1)]
    text, label = shown[names.index(text)], shown[names.index(label)]
    pair = None if pair is None else shown[names.index(pair)]
    return Chosen(shown, ColumnsUsed(text=text, label=label, text_pair=pair, inferred=True), header)


def _pair_by_name(names: Sequence[str]) -> tuple[str | None, str | None]:
    for known in _PAIR_NAMES:
        first, second = (_by_name(names, [name]) for name in known)
        if first is not None and second is not None:
            return first, second
    return None, None


def _by_name(names: Sequence[str], known: Sequence[str]) -> str | None:
    folded = {fold_label(name): name for name in reversed(names)}
    return next((folded[name] for name in known if name in folded), None)


def _wordiness(values: Sequence[str]) -> float:
    """Return how much a column reads like texts: of many letters, and seldom the same."""
    letters = [sum(map(str.isalpha, value[:_LOOKED_AT])) for value in values]
    return fmean(letters) * len(set(values)) / len(values) if values else 0.0


def _is_label(values: Sequence[str]) -> bool:
    return any(values) and len(set(values)) <= max(2, len(values) / 2)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(quote(name) for name in names[:_MAX_LISTED])
    rest = len(names) - _MAX_LISTED
    return f"the file has {shown or 'none'}" + (f" and {rest:,} more" if rest > 0 else "")
