"""Events: what a child says, one JSON object a line on its private copy of stdout.

The last event of a job's child is Ingested, Rejected, Finetuned, DryRan, Evaluated,
LabelIssuesFound, Interrupted or Failed; a child that exits without one has died. That of a check is
Checked or Failed. Paths are relative to the spec's `work_dir`.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from tunery.types import (
    Abstention,
    Calibration,
    ClassMetrics,
    ColumnsUsed,
    Confusion,
    DryRun,
    ErrorInfo,
    EvaluationFinding,
    FitVerdict,
    Latency,
    Lineage,
    Metric,
    NonFinite,
    Parity,
    Progress,
    Report,
    Resolved,
    Slice,
)


class ChildEvent(msgspec.Struct, kw_only=True, frozen=True, tag_field="event"):
    """Something that a child says."""


class Started(ChildEvent, kw_only=True, frozen=True, tag="started"):
    """The child has read its spec and is confined; `seal` is e.g. `landlock-7` or `none`."""

    seal: str


class Listening(ChildEvent, kw_only=True, frozen=True, tag="listening"):
    """An engine or the reader accepts connections; a spare waits for its spec."""


class ProgressMade(ChildEvent, kw_only=True, frozen=True, tag="progress"):
    """Proof of life of the work itself, at least every two seconds of stepping."""

    progress: Progress


class MetricLogged(ChildEvent, kw_only=True, frozen=True, tag="metric"):
    """Metrics of one optimizer step."""

    step: int
    values: dict[str, float | NonFinite]


class HyperparametersResolved(ChildEvent, kw_only=True, frozen=True, tag="resolved"):
    """What every hyperparameter became, and by which rule."""

    resolved: dict[str, Resolved]


class WeightsTaken(ChildEvent, kw_only=True, frozen=True, tag="weights_taken"):
    """What a fine-tune takes of the version that it begins with: rows of its head, by label."""

    message: str
    kept: int
    new: int
    dropped: int


class WarningRaised(ChildEvent, kw_only=True, frozen=True, tag="warning"):
    """Something that the user should know, and that does not stop the job."""

    code: str
    message: str


class CheckpointSaved(ChildEvent, kw_only=True, frozen=True, tag="checkpoint"):
    """A whole checkpoint stands at `path`, manifest written, everything synced."""

    path: str
    step: int
    epoch: float
    metrics: dict[str, float | None]
    best: bool
    manifest_sha256: str
    size_bytes: int


class Ingested(ChildEvent, kw_only=True, frozen=True, tag="ingested"):
    """The dataset stands at `path`: a Parquet file per split, `report.json`, manifest."""

    path: str
    manifest_sha256: str
    columns: ColumnsUsed
    splits: dict[str, int]
    labels: list[str]
    fingerprint: str
    warnings: int


class Rejected(ChildEvent, kw_only=True, frozen=True, tag="rejected"):
    """The data is not acceptable; `path` holds `report.json` and a manifest."""

    path: str
    manifest_sha256: str
    error: ErrorInfo
    errors: int
    warnings: int


class Checked(ChildEvent, kw_only=True, frozen=True, tag="checked"):
    """What an ingest would say; where it would reject, `splits` and `fingerprint` are null."""

    report: Report
    rejected: ErrorInfo | None
    splits: dict[str, int] | None
    fingerprint: str | None


class Finetuned(ChildEvent, kw_only=True, frozen=True, tag="finetuned"):
    """The version stands at `path`: the best checkpoint's model and its exports, manifest."""

    path: str
    manifest_sha256: str
    size_bytes: int
    best_step: int
    stop_reason: str | None
    parity: Parity | None


class DryRan(ChildEvent, kw_only=True, frozen=True, tag="dry_ran"):
    """A fine-tune was rehearsed; nothing is kept."""

    report: DryRun


EVALUATED_ROWS: Final = "rows.parquet"


class Evaluated(ChildEvent, kw_only=True, frozen=True, tag="evaluated"):
    """The figures of an evaluation; its rows stand at `path`: EVALUATED_ROWS, manifest."""

    path: str
    manifest_sha256: str
    size_bytes: int
    rows: int
    runtime: str
    precision: str
    metrics: dict[str, Metric]
    per_class: list[ClassMetrics]
    confusion: Confusion | None
    primary_metric: str
    baselines: dict[str, float]
    tfidf_rows: int
    findings: list[EvaluationFinding]
    slices: list[Slice]
    fit: FitVerdict | None
    calibration: Calibration | None
    abstention: Abstention | None
    lineage: Lineage
    latency: Latency | None


LABEL_ISSUES: Final = "issues.parquet"


class LabelIssuesFound(ChildEvent, kw_only=True, frozen=True, tag="label_issues_found"):
    """Rows whose label is likely wrong; they stand at `path`: LABEL_ISSUES, manifest."""

    path: str
    manifest_sha256: str
    size_bytes: int
    rows: int  # that were looked at
    issues: int


class Interrupted(ChildEvent, kw_only=True, frozen=True, tag="interrupted"):
    """The leash was let go: the step was finished and saved, and the child exits."""

    step: int


class Failed(ChildEvent, kw_only=True, frozen=True, tag="failed"):
    """The child gives up; trying again would not help."""

    code: str
    message: str


AnyEvent = (
    Started
    | Listening
    | ProgressMade
    | MetricLogged
    | HyperparametersResolved
    | WeightsTaken
    | WarningRaised
    | CheckpointSaved
    | Ingested
    | Rejected
    | Checked
    | Finetuned
    | DryRan
    | Evaluated
    | LabelIssuesFound
    | Interrupted
    | Failed
)


def finite(values: Mapping[str, float]) -> dict[str, float | NonFinite]:
    """Return the values with NaN and the infinities spelled out, since JSON has neither."""
    return {
        name: value if math.isfinite(value) else _spell(value) for name, value in values.items()
    }


def _spell(value: float) -> NonFinite:
    if math.isnan(value):
        return NonFinite(non_finite="nan")
    return NonFinite(non_finite="inf" if value > 0 else "-inf")
