"""Comparisons: how one version does beside another one on the same rows.

Everywhere `a` is what is judged, `b` what it is held against, such as what serves now.
"""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, Ratio, Score, about
from tunery.types.datasets import Split
from tunery.types.evaluations import Latency


class Compared(Answer, kw_only=True, frozen=True):
    """One of the two."""

    version: Annotated[str, about("Version, or checkpoint id.", "intent/3")]
    evaluation: Annotated[
        str, about("The evaluation that is compared.", "eval_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ]
    bytes: Annotated[int, about("Its size on disk.", 91_500_000, ge=0, le=MAX_INT)]
    latency: Annotated[Latency | None, about("Null where it was not measured.")]


class Change(Answer, kw_only=True, frozen=True):
    """A figure of both."""

    a: Annotated[Score, about("Of `a`.", 0.926)]
    b: Annotated[Score, about("Of `b`.", 0.913)]
    difference: Annotated[Score, about("The first less the second.", 0.013)]
    low: Annotated[Score, about("Where its 95 % interval begins, by a paired bootstrap.", 0.004)]
    high: Annotated[Score, about("Where it ends.", 0.022)]


class LossTest(Answer, kw_only=True, frozen=True):
    """Whether `a` does worse on the whole, by more than chance."""

    metric: Annotated[str, about("Of what.", "macro_f1")]
    p_value: Annotated[Ratio, about("How probable such a loss is if both are equally good.", 0.63)]
    threshold: Annotated[Ratio, about("From where on it is chance.", 0.02)]
    worse: Annotated[bool, about("Whether it is a loss.", False)]


class ChangedRows(Answer, kw_only=True, frozen=True):
    """Rows that only one of the two answers right, and McNemar's exact test of their numbers."""

    fixed: Annotated[int, about("`a` is right, `b` is not.", 71, ge=0, le=MAX_INT)]
    broken: Annotated[int, about("`b` is right, `a` is not.", 31, ge=0, le=MAX_INT)]
    p_value: Annotated[
        Ratio, about("How probable it is that they differ so much by chance.", 0.0001)
    ]


class ChangedLabel(Answer, kw_only=True, frozen=True):
    """How one label does.

    A row counts where it was given the label, or not, as it should be: what F1 counts, too.
    """

    label: Annotated[str, about("The label.", "card_arrival")]
    support: Annotated[int, about("Rows that have it.", 40, ge=0, le=MAX_INT)]
    a: Annotated[Ratio | None, about("F1 of `a`; null where it is not defined.", 0.93)]
    b: Annotated[Ratio | None, about("F1 of `b`.", 0.9)]
    fixed: Annotated[int, about("Rows that only `a` has right in it.", 5, ge=0, le=MAX_INT)]
    broken: Annotated[int, about("Rows that only `b` has right in it.", 1, ge=0, le=MAX_INT)]
    p_value: Annotated[Ratio, about("McNemar's exact test of the two.", 0.22)]
    corrected: Annotated[Ratio, about("The same for as many labels as have changed, by Holm.", 1.0)]
    worse: Annotated[bool, about("Whether it is a loss, all labels taken together.", False)]


class ChangedRow(Answer, kw_only=True, frozen=True):
    """A row that the two answer otherwise."""

    row: Annotated[int, about("0-based place in the split.", 12, ge=0, le=MAX_INT)]
    line: Annotated[int, about("1-based line of the file.", 118, ge=1, le=MAX_INT)]
    text: Annotated[str, about("The text.", "where is my card?")]
    text_pair: Annotated[
        str | None, about("The second text, of a pair.", None, "You have 14 days.")
    ] = None
    label: Annotated[str, about("What is true.", "card_arrival")]
    a: Annotated[str, about("What `a` answers.", "card_arrival")]
    b: Annotated[str, about("What `b` answers.", "lost_or_stolen_card")]


class PairedFigures(Answer, kw_only=True, frozen=True):
    """What two lists of answers to the same rows say."""

    rows: Annotated[int, about("How many.", 3080, ge=0, le=MAX_INT)]
    metrics: Annotated[
        dict[str, Change],
        about(
            "By name.",
            {
                "accuracy": {
                    "a": 0.926,
                    "b": 0.913,
                    "difference": 0.013,
                    "low": 0.004,
                    "high": 0.022,
                }
            },
        ),
    ]
    tests: Annotated[list[LossTest], about("Of a loss on the whole.")]
    changed: Annotated[ChangedRows | None, about("Null where answers are numbers.")]
    labels: Annotated[
        list[ChangedLabel], about("Those on which they differ, the largest loss first.")
    ]
    fixed: Annotated[
        list[ChangedRow],
        about("At most 20 rows that `a` has made right, or moved closest to the number."),
    ]
    broken: Annotated[
        list[ChangedRow], about("At most 20 that it has made wrong, or moved farthest away.")
    ]


class Comparison(PairedFigures, kw_only=True, frozen=True):
    """Two versions on the same rows, each as its newest evaluation answered them."""

    dataset: Annotated[str, about("Dataset id.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    split: Annotated[Split, about("Which rows.", "test")]
    runtime: Annotated[str, about("What computed both.", "openvino")]
    precision: Annotated[str, about("Of the weights of both.", "fp32")]
    a: Annotated[Compared, about("What is judged.")]
    b: Annotated[Compared, about("What it is held against.")]
