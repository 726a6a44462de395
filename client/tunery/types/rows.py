"""Rows: what a dataset holds, how a model would see it, and what a version changed."""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, Count, Ratio, about
from tunery.types.datasets import Split


class Row(Answer, kw_only=True, frozen=True):
    """One ingested row."""

    line: Annotated[int, about("1-based line of the file.", 118, ge=1, le=MAX_INT)]
    text: Annotated[str, about("The text.", "I lost my card")]
    label: Annotated[
        str, about("The label; of multi_label a JSON list, of regression a number.", "refund")
    ]
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None


class RowPage(Answer, kw_only=True, frozen=True):
    """Rows of a split, in file order."""

    data: Annotated[list[Row], about("The rows.")]
    has_more: Annotated[bool, about("Whether another page follows.", True)]
    last_id: Annotated[str | None, about("Pass it as `after`.", "20")]


class PreviewRow(Answer, kw_only=True, frozen=True):
    """One row as the model sees it."""

    text: Annotated[str, about("The text.", "I lost my card")]
    label: Annotated[str, about("The label.", "lost_or_stolen_card")]
    label_id: Annotated[
        int,
        about("Index of its output: the first of `label_ids`, or 0.", 41, ge=0, le=MAX_INT),
    ]
    tokens: Annotated[list[str], about("As the tokenizer cuts it.", ["[CLS]", "i", "lost"])]
    truncated: Annotated[bool, about("Whether tokens were cut off at the end.", False)]
    unknown: Annotated[int, about("Tokens that the vocabulary lacks.", 0, ge=0, le=MAX_INT)]
    label_ids: Annotated[
        list[Count], about("Indices of all its labels; of multi_label there may be several.", [41])
    ] = []
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None


class Preview(Answer, kw_only=True, frozen=True):
    """The first training rows as a base model would see them."""

    base_model: Annotated[str, about("Whose tokenizer.", "minilm-l6")]
    max_length: Annotated[int, about("In tokens.", 256, ge=1, le=MAX_INT)]
    rows: Annotated[list[PreviewRow], about("At most 20.")]
    unknown_share: Annotated[Ratio, about("Unknown tokens among all of these rows.", 0.0)]


class RowChange(Answer, kw_only=True, frozen=True):
    """One row that is not the same in two datasets; null on the side that lacks it."""

    text: Annotated[str, about("The text, at most 200 characters.", "where is my card?")]
    label_before: Annotated[str | None, about("In the earlier one.", "card_arrival")]
    label_after: Annotated[str | None, about("In the later one.", "lost_or_stolen_card")]
    split_before: Annotated[Split | None, about("In the earlier one.", "train")]
    split_after: Annotated[Split | None, about("In the later one.", "train")]
    text_pair: Annotated[
        str | None,
        about("The second text, of a pair, at most 200 characters.", None, "You have 14 days."),
    ] = None


class RowChanges(Answer, kw_only=True, frozen=True):
    """Rows that changed in the same way."""

    rows: Annotated[int, about("All of them.", 12, ge=0, le=MAX_INT)]
    examples: Annotated[list[RowChange], about("The first 20.")]


class LabelShift(Answer, kw_only=True, frozen=True):
    """A label that has more rows than before, or fewer."""

    label: Annotated[str, about("The label.", "card_arrival")]
    before: Annotated[int, about("Rows of all splits.", 120, ge=0, le=MAX_INT)]
    after: Annotated[int, about("Rows of all splits.", 132, ge=0, le=MAX_INT)]


class DatasetDiff(Answer, kw_only=True, frozen=True):
    """What changed between two datasets, row by row: a text that stands twice is two rows.

    Each row is counted once. One that has another label and another split is relabelled.
    """

    before: Annotated[str, about("The earlier dataset.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    after: Annotated[str, about("The later dataset.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3C")]
    unchanged: Annotated[int, about("Rows that both have.", 9980, ge=0, le=MAX_INT)]
    added: Annotated[RowChanges, about("Rows that only the later one has.")]
    removed: Annotated[RowChanges, about("Rows that only the earlier one has.")]
    relabelled: Annotated[RowChanges, about("The same text under another label.")]
    moved: Annotated[RowChanges, about("The same text and label in another split.")]
    labels: Annotated[list[LabelShift], about("Labels whose rows became more or fewer, sorted.")]
