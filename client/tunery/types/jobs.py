"""Jobs: everything that takes time, and the append-only events of each."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tunery.types._meta import MAX_INT, Answer, Score, Timestamp, Whole, about
from tunery.types.dry_runs import DryRun
from tunery.types.problems import ErrorInfo

JobKind = Literal["ingest", "finetune", "evaluate", "label-issues"]
JobStatus = Literal[
    "queued", "running", "pausing", "paused", "cancelling", "succeeded", "failed", "cancelled"
]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
QueueReason = Literal["waiting-for-device", "waiting-for-slot", "backing-off"]
EventType = Literal["state", "metric", "checkpoint", "warning", "log", "end"]


class Queue(Answer, kw_only=True, frozen=True):
    """Why a queued job waits."""

    position: Annotated[int, about("1 is next.", 3, ge=1, le=MAX_INT)]
    reason: Annotated[QueueReason, about("What it waits for.", "waiting-for-device")]
    eta_seconds: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None, about("Until it starts, where known.", 840.0)
    ] = None


class Pace(Answer, kw_only=True, frozen=True):
    """What the steps of a fine-tune have cost so far, in its last attempt; estimates rest on it."""

    device: Annotated[str, about("`cpu` or `cuda`.", "cpu")]
    training_tokens: Annotated[
        int, about("With padding, of all steps but the first.", 1_200_000, ge=0, le=MAX_INT)
    ] = 0
    training_seconds: Annotated[float, about("Of these steps.", 120.5, ge=0, le=1e12)] = 0.0
    validations: Annotated[int, about("So many.", 4, ge=0, le=MAX_INT)] = 0
    validation_tokens: Annotated[int, about("In all of them.", 60_000, ge=0, le=MAX_INT)] = 0
    validation_seconds: Annotated[
        float, about("With the checkpoints that follow them.", 9.5, ge=0, le=1e12)
    ] = 0.0


class Progress(Answer, kw_only=True, frozen=True):
    """How far a running job is."""

    phase: Annotated[str, about("What it is doing.", "training")]
    step: Annotated[int, about("Optimizer steps done.", 120, ge=0, le=MAX_INT)] = 0
    total_steps: Annotated[int, about("Optimizer steps in all.", 1252, ge=0, le=MAX_INT)] = 0
    epoch: Annotated[float, about("Passes over the training split.", 0.38, ge=0, le=1e6)] = 0.0
    examples_per_second: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None, about("Over the last steps.", 410.0)
    ] = None
    eta_seconds: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None, about("Until it ends.", 95.0)
    ] = None
    pace: Annotated[Pace | None, about("Of a fine-tune.")] = None


class Resolved(Answer, kw_only=True, frozen=True):
    """What a hyperparameter became, and by which rule."""

    value: Annotated[
        bool | Whole | Score | str | list[Any] | dict[str, Any] | None, about("The value.", 2e-4)
    ]
    source: Annotated[str, about("`user`, `default`, or `auto:<rule>`.", "auto:encoder-small")]


class JobResult(Answer, kw_only=True, frozen=True):
    """What a succeeded job left behind."""

    dataset: Annotated[str | None, about("Dataset id.", None, "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")] = (
        None
    )
    version: Annotated[str | None, about("Model version.", "intent/3")] = None
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    evaluation: Annotated[
        str | None, about("Evaluation id.", None, "eval_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    evaluate_job: Annotated[
        str | None,
        about("The job that makes the evaluation.", None, "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"),
    ] = None
    dry_run: Annotated[DryRun | None, about("What a dry run has shown.")] = None
    label_issues: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_INT)] | None,
        about("Rows of the dataset whose label is likely wrong.", None, 472),
    ] = None


class Job(Answer, kw_only=True, frozen=True):
    """Anything that takes time. Read `terminal`, not a list of statuses."""

    id: Annotated[str, about("Prefixed ULID.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    kind: Annotated[JobKind, about("What it does.", "finetune")]
    status: Annotated[JobStatus, about("Where it is.", "running")]
    terminal: Annotated[bool, about("Whether it has ended.", False)]
    attempt: Annotated[int, about("Rises by one per start; 0 before.", 1, ge=0, le=MAX_INT)]
    priority: Annotated[int, about("Higher goes first.", 50, ge=0, le=100)]
    queue: Annotated[Queue | None, about("While queued.")]
    progress: Annotated[Progress | None, about("While running, and its last state after.")]
    resolved: Annotated[dict[str, Resolved], about("Hyperparameters as they are used.")]
    result: Annotated[JobResult | None, about("When succeeded.")]
    stop_reason: Annotated[str | None, about("Why it ended or paused early.", "early-stopping")]
    error: Annotated[ErrorInfo | None, about("When failed.")]
    spec: Annotated[dict[str, Any], about("What was asked for.")]
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None


class Event(Answer, kw_only=True, frozen=True):
    """Something that happened to a job; `seq` rises by one within the job."""

    seq: Annotated[int, about("1 is the first.", 17, ge=1, le=MAX_INT)]
    at: Timestamp
    job: Annotated[str, about("Job id.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    type: Annotated[EventType, about("What `data` holds.", "metric")]
    data: Annotated[
        dict[str, Any],
        about("A non-finite number is an object.", {"step": 120, "loss": 0.82}),
    ]


class EventList(Answer, kw_only=True, frozen=True):
    """Events of a job, oldest first."""

    data: Annotated[list[Event], about("The events.")]
    has_more: Annotated[bool, about("Whether more are there already.", False)]
    last_seq: Annotated[int, about("Pass it as `after`.", 17, ge=0, le=MAX_INT)]


class MetricPoint(Answer, kw_only=True, frozen=True):
    """Metrics of one step."""

    step: Annotated[int, about("Optimizer step.", 120, ge=0, le=MAX_INT)]
    values: Annotated[dict[str, Any], about("By name.", {"loss": 0.82, "grad_norm": 1.9})]


class MetricList(Answer, kw_only=True, frozen=True):
    """Metrics of a job, by step."""

    data: Annotated[list[MetricPoint], about("Oldest first.")]


class LogText(Answer, kw_only=True, frozen=True):
    """The end of a job's log."""

    attempt: Annotated[int, about("Which attempt.", 1, ge=0, le=MAX_INT)]
    lines: Annotated[list[str], about("Oldest first.")]


class Checkpoint(Answer, kw_only=True, frozen=True):
    """A saved state of a fine-tune; it can be deployed, evaluated and resumed from."""

    id: Annotated[str, about("Prefixed ULID.", "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    job: Annotated[str, about("Job id.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    step: Annotated[int, about("Optimizer step.", 313, ge=0, le=MAX_INT)]
    epoch: Annotated[float, about("Passes over the training split.", 1.0, ge=0, le=1e6)]
    metrics: Annotated[dict[str, Score | None], about("On validation.", {"macro_f1": 0.91})]
    best: Annotated[bool, about("Whether it is the best so far.", True)]
    bytes: Annotated[int, about("Size on disk.", 271_000_000, ge=0, le=MAX_INT)]
    manifest_sha256: Annotated[str, about("Hash of the manifest.", "9f86d081884c…")]
    created_at: Timestamp


class CheckpointList(Answer, kw_only=True, frozen=True):
    """Checkpoints of a job, newest first."""

    data: Annotated[list[Checkpoint], about("The checkpoints that are still kept.")]


class NonFinite(msgspec.Struct, kw_only=True, frozen=True):
    """How a number that is no number crosses JSON, which has none."""

    non_finite: Annotated[Literal["nan", "inf", "-inf"], about("Which one.", "nan")]
    value: Annotated[None, about("Always null.", None)] = None
