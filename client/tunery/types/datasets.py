"""Datasets: labelled rows with their splits, and the versions that follow one another."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import (
    MAX_INT,
    NAME_PATTERN,
    Answer,
    Count,
    Request,
    Timestamp,
    about,
)
from tunery.types.problems import ErrorInfo

Task = Literal["text_classification", "multi_label", "regression"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Fraction = Annotated[float, about("Share of the rows, from 0 to 1.", 0.15, ge=-1e308, le=1e308)]
TransformOp = Literal[
    "normalise", "strip_html", "redact", "relabel", "merge_labels", "drop_conflicts", "dedupe"
]
Label = Annotated[str, about("A label.", "refund", min_length=1, max_length=256)]
ColumnName = Annotated[str, about("A column of the file, exactly as it is written there.", "text")]


class Columns(Request, kw_only=True, frozen=True):
    """Which column holds what; with `text_pair` each row is two texts that are read together."""

    text: ColumnName
    label: ColumnName
    text_pair: Annotated[
        ColumnName | None, about("The second text of each row.", None, "hypothesis")
    ] = None
    label_separator: Annotated[
        Annotated[str, Meta(min_length=1, max_length=8)] | None,
        about(
            "Of multi_label: what parts the labels of a cell; else it is a JSON list.", None, "|"
        ),
    ] = None


class SplitFiles(Request, kw_only=True, frozen=True):
    """One file per split; without a validation file a tenth of train becomes it, by hash."""

    train: Annotated[str, about("File id.", "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    test: Annotated[str, about("File id.", "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3C")]
    validation: Annotated[
        str | None, about("File id.", None, "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3D")
    ] = None


SPLIT_COLUMNS = ("group_by", "time_column", "column")  # of a SplitSpec, at most one


class SplitSpec(Request, kw_only=True, frozen=True):
    """How rows of a single file are shared out: by a hash of their normalised text.

    Rows of the parent version keep their split, unless `column` says another, and near duplicates
    stay together. Of group_by, time_column and column at most one is given, and of files per split
    only group_by.
    """

    train: Fraction = 0.7
    validation: Fraction = 0.15
    test: Fraction = 0.15
    seed: Annotated[int, about("Part of the hash.", 42, ge=0, le=2**32 - 1)] = 42
    group_by: Annotated[
        ColumnName | None, about("Rows that are equal here stay in one split.", None, "customer")
    ] = None
    time_column: Annotated[
        ColumnName | None,
        about("The oldest rows train, the newest test: ISO 8601 or a number.", None, "created_at"),
    ] = None
    column: Annotated[
        ColumnName | None,
        about("Says the split of each row, instead of shares.", None, "split"),
    ] = None


class Policies(Request, kw_only=True, frozen=True):
    """What happens to rows that are suspicious, not wrong; and how the file is read."""

    encoding: Annotated[
        str,
        about(
            "A codec's name, or `auto` for a guess; a byte order mark goes before either.",
            "utf-8",
            "gb18030",
            max_length=40,
        ),
    ] = "utf-8"
    near_duplicates: Annotated[
        Literal["find", "skip"],
        about("Texts that share nine tenths of their 5-grams, which take time to find.", "find"),
    ] = "find"

    duplicates: Annotated[Literal["keep", "drop"], about("Rows that repeat another.", "keep")] = (
        "keep"
    )
    conflicts: Annotated[
        Literal["keep", "majority", "drop", "reject"],
        about("One text under several labels.", "keep"),
    ] = "keep"
    leakage: Annotated[
        Literal["drop_from_train", "warn", "reject"],
        about("A training text that the test split has too.", "drop_from_train"),
    ] = "drop_from_train"
    labels: Annotated[
        Literal["suggest", "merge", "reject"], about("Variants of one label.", "suggest")
    ] = "suggest"
    empty: Annotated[Literal["reject", "drop"], about("Rows without a text.", "reject")] = "reject"


class DatasetSpec(Request, kw_only=True, frozen=True):
    """Registers a dataset: one file that is split, or one file per split.

    The same name again is the next version.
    """

    name: Annotated[str, about("Name of the dataset.", "banking", pattern=NAME_PATTERN)]
    task: Annotated[Task, about("What is learned.", "text_classification")] = "text_classification"
    file: Annotated[str | None, about("File id.", "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")] = None
    files: Annotated[SplitFiles | None, about("File ids by split, instead of `file`.")] = None
    columns: Annotated[Columns | None, about("Guessed from the header when absent.")] = None
    split: Annotated[SplitSpec, about("Shares of the splits.")] = SplitSpec()
    policies: Annotated[Policies, about("What happens to suspicious rows.")] = Policies()


class RowLabel(Request, kw_only=True, frozen=True):
    """The label that one row gets."""

    line: Annotated[int, about("Its `line`, as `rows` shows it.", 118, ge=1, le=MAX_INT)]
    label: Label
    split: Annotated[
        Split | None,
        about("Where it stands; needed where each split came as a file of its own."),
    ] = None


class Transform(Request, kw_only=True, frozen=True):
    """One recorded change of a dataset.

    Of the text: `normalise` (Unicode NFC, line ends as LF, runs of blanks as one, none at the
    ends), `strip_html` (no tags, comments, scripts and styles; entities as characters), `redact`
    (personal data as placeholders). Of the label: `relabel`. Of the rows, as the policies of the
    same meaning: `merge_labels` (`labels: merge`), `drop_conflicts` (`conflicts: drop`), `dedupe`
    (`duplicates: drop`).

    In whatever order they are given, those of text and label act first, in that order; then
    `merge_labels`, `drop_conflicts` and `dedupe`, in this order. The report lists them as they
    acted.
    """

    op: Annotated[TransformOp, about("What is done.", "strip_html")]
    labels: Annotated[
        dict[Label, Label],
        about("Of `relabel`: the new label by the old one.", {"refunds": "refund"}),
    ] = {}
    rows: Annotated[
        list[RowLabel],
        about("Of `relabel`: single rows, after `labels`.", max_length=10_000),
    ] = []


class VersionSpec(Request, kw_only=True, frozen=True):
    """Makes the next version of a dataset's name by transforming the dataset.

    Rows keep their split and their line. The dataset stays as it is.
    """

    transforms: Annotated[
        list[Transform], about("What is done; see `Transform`.", min_length=1, max_length=20)
    ]
    policies: Annotated[
        Policies | None, about("What happens to suspicious rows; null: as in the dataset.")
    ] = None


class ColumnsUsed(Answer, kw_only=True, frozen=True):
    """The columns that were read."""

    text: ColumnName
    label: ColumnName
    inferred: Annotated[bool, about("Whether tunery guessed them.", False)]
    text_pair: Annotated[
        ColumnName | None, about("The second text of each row.", None, "hypothesis")
    ] = None
    label_separator: Annotated[
        str | None, about("What parts the labels of a cell; null for a JSON list.", None, "|")
    ] = None


class Dataset(Answer, kw_only=True, frozen=True):
    """One immutable version of a dataset."""

    id: Annotated[str, about("Prefixed ULID.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    name: Annotated[str, about("Name of the dataset.", "banking")]
    version: Annotated[int, about("Rises by one per name.", 1, ge=1, le=MAX_INT)]
    parent: Annotated[
        str | None,
        about(
            "Id of the version before, or of the one that was transformed.",
            None,
            "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B",
        ),
    ]
    status: Annotated[
        Literal["validating", "ready", "rejected"],
        about("`rejected` datasets keep their report.", "ready"),
    ]
    task: Annotated[Task, about("What is learned.", "text_classification")]
    job: Annotated[str, about("The ingest job.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    columns: Annotated[ColumnsUsed | None, about("Null until ingested.")]
    splits: Annotated[dict[str, Count] | None, about("Rows by split.", {"train": 7011})]
    labels: Annotated[list[str] | None, about("In the order of the model's outputs.")]
    fingerprint: Annotated[str | None, about("Hash of rows and splits.", "sha256:9f86d081884c…")]
    warnings: Annotated[int, about("Findings that do not reject.", 2, ge=0, le=MAX_INT)]
    errors: Annotated[int, about("Findings that reject.", 0, ge=0, le=MAX_INT)]
    error: Annotated[ErrorInfo | None, about("Why it was rejected.")]
    created_at: Timestamp
    transforms: Annotated[
        list[Transform], about("What made it from its parent, as asked for; none for a file.")
    ] = []
