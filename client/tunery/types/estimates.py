"""Estimates: what a fine-tune would take, forecast before it runs."""

from typing import Annotated

from msgspec import Meta

from tunery.types._meta import MAX_INT, Answer, about
from tunery.types.jobs import Queue, Resolved

Seconds = Annotated[float, Meta(ge=0, le=1e12)]


class Measured(Answer, kw_only=True, frozen=True):
    """The finished fine-tune whose pace a forecast of time rests on."""

    job: Annotated[str, about("Its id.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    device: Annotated[str, about("`cpu` or `cuda`.", "cpu")]
    tokens_per_second: Annotated[float, about("Of its steps.", 9800.0, ge=0, le=1e12)]
    alike: Annotated[
        bool,
        about("Whether precision, threads, frozen parts and optimizer were the same.", True),
    ]


class Estimate(Answer, kw_only=True, frozen=True):
    """What a fine-tune would take if it stopped nowhere early, nor trained again for less long."""

    resolved: Annotated[dict[str, Resolved], about("Hyperparameters as the job would use them.")]
    rows: Annotated[int, about("Training rows of an epoch.", 7011, ge=0, le=MAX_INT)]
    tokens: Annotated[int, about("With padding, in all steps together.", 640_000, ge=0, le=MAX_INT)]
    steps: Annotated[int, about("Optimizer steps.", 880, ge=0, le=MAX_INT)]
    seconds: Annotated[
        Seconds | None, about("From its start to its version, without the queue.", 210.0)
    ]
    measured: Annotated[Measured | None, about("What `seconds` rests on.")]
    reason: Annotated[
        str | None,
        about(
            "Why `seconds` is null, and what fills it.",
            None,
            "no fine-tune of minilm-l6 on a cpu has succeeded yet",
        ),
    ]
    memory_bytes: Annotated[
        int, about("Peak of the process, or of the GPU.", 1_100_000_000, ge=0, le=MAX_INT)
    ]
    disk_bytes: Annotated[
        int,
        about("Of the checkpoints that are kept and the version.", 700_000_000, ge=0, le=MAX_INT),
    ]
    checkpoints: Annotated[int, about("Kept at most.", 3, ge=0, le=MAX_INT)]
    checkpoint_bytes: Annotated[int, about("Of the largest.", 270_000_000, ge=0, le=MAX_INT)]
    version_bytes: Annotated[int, about("Of the version.", 180_000_000, ge=0, le=MAX_INT)]
    queue: Annotated[Queue | None, about("Where it would wait; null where a device is free.")]
