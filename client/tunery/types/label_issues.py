"""Label issues: rows of a dataset whose label is likely wrong, with the one that is suggested."""

from typing import Annotated

from msgspec import Meta

from tunery.types._meta import MAX_INT, Answer, Count, Ratio, Request, about
from tunery.types.datasets import Label, RowLabel, Split


class LabelIssuesSpec(Request, kw_only=True, frozen=True):
    """Looks for rows whose label is likely wrong, by what those say that have not read the row.

    Source: confident learning, Northcutt et al. 2021, arXiv:1911.00068, as cleanlab computes it,
    on a logistic regression per fold over the features of a frozen base model.
    """

    base_model: Annotated[
        str,
        about(
            "Whose features tell texts apart, a base model and no version, which has learned "
            "labels. `scratch-mini` stands for TF-IDF of characters, for languages that no "
            "installed base covers.",
            "minilm-l6",
            max_length=256,
        ),
    ] = "minilm-l6"
    splits: Annotated[
        Annotated[list[Split], Meta(min_length=1, max_length=3)] | None,
        about("Whose rows are judged, and judge each other; null: all.", None, ["train"]),
    ] = None
    folds: Annotated[
        int, about("Parts, each judged by what has read the others.", 5, ge=2, le=20)
    ] = 5
    seed: Annotated[int, about("Of the folds.", 42, ge=0, le=2**32 - 1)] = 42


class LabelIssue(Answer, kw_only=True, frozen=True):
    """One row whose label is likely wrong."""

    split: Annotated[Split, about("Where it stands.", "train")]
    line: Annotated[int, about("1-based line of the file.", 118, ge=1, le=MAX_INT)]
    text: Annotated[str, about("The text.", "I lost my card")]
    label: Annotated[str, about("The label that it has.", "card_arrival")]
    suggested_label: Annotated[Label, about("The most probable other one.", "lost_or_stolen_card")]
    quality: Annotated[
        Ratio, about("Probability of the label that it has, out of its fold.", 0.012)
    ]
    margin: Annotated[
        float,
        about("`quality`, less the probability of the suggested label.", -0.91, ge=-1.0, le=1.0),
    ]
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None

    @property
    def correction(self) -> RowLabel:
        """The row under its suggested label, as the transform `relabel` takes it."""
        return RowLabel(split=self.split, line=self.line, label=self.suggested_label)


class LabelIssuePage(Answer, kw_only=True, frozen=True):
    """Rows whose label is likely wrong, the worst first, as the newest job has found them."""

    data: Annotated[list[LabelIssue], about("The rows.")]
    has_more: Annotated[bool, about("Whether another page follows.", True)]
    last_id: Annotated[str | None, about("Pass it as `after`.", "20")]
    total: Annotated[Count, about("Rows of all pages.", 472)]
    job: Annotated[str, about("The job that found them.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
