"""Datasets: labelled rows with their splits, and the report of what was found in them."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import (
    MAX_INT,
    NAME_PATTERN,
    Answer,
    Count,
    Ratio,
    Request,
    Timestamp,
    about,
)
from tunery.types.problems import ErrorInfo

Task = Literal["text_classification"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Fraction = Annotated[float, about("Share of the rows, from 0 to 1.", 0.15, ge=-1e308, le=1e308)]
TransformOp = Literal[
    "normalise", "strip_html", "redact", "relabel", "merge_labels", "drop_conflicts", "dedupe"
]
Label = Annotated[str, about("A label.", "refund", min_length=1, max_length=256)]
ColumnName = Annotated[str, about("A column of the file, exactly as it is written there.", "text")]


class Columns(Request, kw_only=True, frozen=True):
    """Which column holds what."""

    text: ColumnName
    label: ColumnName


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


class Finding(Answer, kw_only=True, frozen=True):
    """One thing that the ingest found in the file."""

    code: Annotated[str, about("Stable, see `/problems/{code}`.", "empty-text")]
    message: Annotated[str, about("What is wrong, with the value.", "the text is empty")]
    hint: Annotated[str, about("What to do.", "Fill it in, or set policies.empty to drop.")]
    line: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_INT)] | None, about("1-based line of the file.", 118)
    ] = None
    column: Annotated[str | None, about("Column of the file.", "text")] = None
    split: Annotated[str | None, about("Split file, where there are several.", None, "train")] = (
        None
    )


class ListedFinding(Finding, kw_only=True, frozen=True):
    """A finding in the list of all, one JSON object a line."""

    severity: Annotated[
        Literal["error", "warning", "dropped"],
        about("`dropped` names a row that a policy has left out.", "error"),
    ]


class Dialect(Answer, kw_only=True, frozen=True):
    """How the file is written."""

    format: Annotated[Literal["csv", "jsonl", "json", "parquet"], about("Container.", "csv")]
    delimiter: Annotated[str | None, about("Cell separator of a CSV.", ",")]
    newline: Annotated[Literal["lf", "crlf", "cr", "mixed"], about("Line ends.", "lf")]
    header: Annotated[
        bool, about("Whether the first line names the columns; else they are column_1, ….", True)
    ] = True
    inferred: Annotated[bool, about("Whether tunery guessed it.", True)]


class LabelVariants(Answer, kw_only=True, frozen=True):
    """Spellings that look like one label."""

    canonical: Annotated[str, about("The proposed spelling: the commonest.", "refund")]
    variants: Annotated[dict[str, Count], about("Rows by spelling.", {"Refund ": 2})]
    why: Annotated[
        list[str],
        about(
            "In what they differ: case, width, space, look-alike, composition, meaning.",
            ["case", "space"],
        ),
    ]


class LabelReport(Answer, kw_only=True, frozen=True):
    """Labels by split, and those that look alike."""

    counts: Annotated[dict[str, dict[str, Count]], about("Rows by split and label.")]
    variants: Annotated[list[LabelVariants], about("Spellings that look like one label.")]


class RowGroup(Answer, kw_only=True, frozen=True):
    """Rows that have the same text."""

    text: Annotated[str, about("The text, at most 200 characters.", "where is my card?")]
    lines: Annotated[list[Count], about("1-based lines, at most 20.", [12, 40])]
    labels: Annotated[list[str], about("Their labels, sorted.", ["card_arrival"])]


class DuplicateReport(Answer, kw_only=True, frozen=True):
    """Rows that repeat another one, text and label."""

    exact: Annotated[int, about("Rows beyond the first of each group.", 3, ge=0, le=MAX_INT)]
    dropped: Annotated[int, about("Rows left out by policy.", 0, ge=0, le=MAX_INT)]
    groups: Annotated[list[RowGroup], about("The first ten groups.")]


class ConflictReport(Answer, kw_only=True, frozen=True):
    """Texts that stand under several labels."""

    texts: Annotated[int, about("Distinct texts, but for case and signs.", 13, ge=0, le=MAX_INT)]
    exact: Annotated[int, about("Those whose very text does.", 5, ge=0, le=MAX_INT)] = 0
    dropped: Annotated[int, about("Rows left out by policy.", 0, ge=0, le=MAX_INT)]
    examples: Annotated[list[RowGroup], about("The first ten.")]


class LeakageReport(Answer, kw_only=True, frozen=True):
    """Training texts that a held-out split has too."""

    exact: Annotated[
        int,
        about(
            "Rows of train or validation that a held-out split has exactly.", 0, ge=0, le=MAX_INT
        ),
    ]
    normalised: Annotated[
        int,
        about(
            "Held-out rows equal to a training row but for case and signs.", 29, ge=0, le=MAX_INT
        ),
    ]
    dropped: Annotated[int, about("Training rows left out by policy.", 29, ge=0, le=MAX_INT)]
    examples: Annotated[list[RowGroup], about("The first ten, near ones too.")]
    bridging: Annotated[
        int,
        about("New rows that belong to two splits of the parent, left out.", 0, ge=0, le=MAX_INT),
    ] = 0
    near: Annotated[
        int,
        about("Held-out rows that are near duplicates of a training row.", 12, ge=0, le=MAX_INT),
    ] = 0
    grouped: Annotated[
        int, about("Held-out rows whose group train has, too.", 0, ge=0, le=MAX_INT)
    ] = 0


class LengthReport(Answer, kw_only=True, frozen=True):
    """How many tokens the texts have, special tokens included; counted on a sample of them."""

    base_model: Annotated[str, about("Whose tokenizer.", "minilm-l6")]
    p50: Annotated[int, about("Half of the texts have at most as many.", 14, ge=0, le=MAX_INT)]
    p95: Annotated[int, about("95 % of the texts do.", 33, ge=0, le=MAX_INT)]
    p99: Annotated[int, about("99 % of the texts do.", 52, ge=0, le=MAX_INT)]
    max: Annotated[int, about("The longest text of the sample.", 98, ge=0, le=MAX_INT)]
    sampled: Annotated[int, about("Texts that were cut into tokens.", 10000, ge=1, le=MAX_INT)]
    truncated_at: Annotated[
        dict[str, Ratio],
        about("Share of the texts that lose their end, by max_length.", {"64": 0.004, "128": 0.0}),
    ]
    suggested_max_length: Annotated[
        int, about("A multiple of 8 that holds 99 % of the texts.", 56, ge=1, le=MAX_INT)
    ]
    unknown_share: Annotated[Ratio, about("Tokens that the vocabulary lacks.", 0.0)]


class TransformResult(Answer, kw_only=True, frozen=True):
    """What one transform did."""

    op: Annotated[TransformOp, about("What was done.", "strip_html")]
    rows_changed: Annotated[
        int, about("Rows with another text or label than before.", 120, ge=0, le=MAX_INT)
    ]
    rows_removed: Annotated[
        int,
        about(
            "Rows left out by it, or by `policies.empty` where it left no text.",
            3,
            ge=0,
            le=MAX_INT,
        ),
    ]


class Report(Answer, kw_only=True, frozen=True):
    """Everything the ingest found: findings are data, not prose."""

    dataset: Annotated[str, about("Dataset id.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    rows: Annotated[int, about("Rows read.", 10003, ge=0, le=MAX_INT)]
    accepted: Annotated[int, about("Rows that stand in a split.", 10003, ge=0, le=MAX_INT)]
    blank_lines: Annotated[int, about("Blank lines, skipped.", 0, ge=0, le=MAX_INT)] = 0
    encoding: Annotated[str, about("How the bytes were read.", "utf-8")]
    dialect: Annotated[Dialect | None, about("Null where nothing could be read.")]
    columns: Annotated[ColumnsUsed | None, about("The columns that were read.")]
    errors: Annotated[list[Finding], about("What rejects: the first 1,000.")]
    errors_total: Annotated[int, about("All of them.", 0, ge=0, le=MAX_INT)]
    warnings: Annotated[list[Finding], about("What does not reject: the first 1,000.")]
    warnings_total: Annotated[int, about("All of them.", 0, ge=0, le=MAX_INT)]
    labels: Annotated[LabelReport, about("Labels by split, and look-alikes.")]
    duplicates: Annotated[DuplicateReport, about("Repeated rows.")]
    conflicts: Annotated[ConflictReport, about("Contradictions.")]
    leakage: Annotated[LeakageReport, about("Overlap of the splits.")]
    transforms: Annotated[
        list[TransformResult], about("What each transform did, in the order in which they acted.")
    ] = []
    dropped_total: Annotated[int, about("Rows left out by policy.", 29, ge=0, le=MAX_INT)] = 0
    lengths: Annotated[
        LengthReport | None, about("Tokens of the texts; null where no tokenizer was at hand.")
    ] = None
    scripts: Annotated[
        dict[str, Ratio],
        about("Share of the letters and emoji, by script.", {"latin": 0.98, "emoji": 0.02}),
    ] = {}
    personal_data: Annotated[
        dict[str, Count],
        about("Rows that hold one, by kind; never the values.", {"email": 0, "phone": 3}),
    ] = {}


class Row(Answer, kw_only=True, frozen=True):
    """One ingested row."""

    line: Annotated[int, about("1-based line of the file.", 118, ge=1, le=MAX_INT)]
    text: Annotated[str, about("The text.", "I lost my card")]
    label: Annotated[str, about("The label.", "lost_or_stolen_card")]


class RowPage(Answer, kw_only=True, frozen=True):
    """Rows of a split, in file order."""

    data: Annotated[list[Row], about("The rows.")]
    has_more: Annotated[bool, about("Whether another page follows.", True)]
    last_id: Annotated[str | None, about("Pass it as `after`.", "20")]


class PreviewRow(Answer, kw_only=True, frozen=True):
    """One row as the model sees it."""

    text: Annotated[str, about("The text.", "I lost my card")]
    label: Annotated[str, about("The label.", "lost_or_stolen_card")]
    label_id: Annotated[int, about("Index of the model's output.", 41, ge=0, le=MAX_INT)]
    tokens: Annotated[list[str], about("As the tokenizer cuts it.", ["[CLS]", "i", "lost"])]
    truncated: Annotated[bool, about("Whether tokens were cut off at the end.", False)]
    unknown: Annotated[int, about("Tokens that the vocabulary lacks.", 0, ge=0, le=MAX_INT)]


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
