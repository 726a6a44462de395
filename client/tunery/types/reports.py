"""Reports: what was found in a dataset, as data and not as prose."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import MAX_INT, Answer, Count, Ratio, about
from tunery.types.datasets import ColumnsUsed, TransformOp


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
    text_pair: Annotated[
        str | None,
        about("The second text, of a pair, at most 200 characters.", None, "You have 14 days."),
    ] = None


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
    splits: Annotated[dict[str, Count], about("Rows by split.", {"train": 7011})] = {}
    personal_data: Annotated[
        dict[str, Count],
        about("Rows that hold one, by kind; never the values.", {"email": 0, "phone": 3}),
    ] = {}
