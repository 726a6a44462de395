"""A dry run: all that a fine-tune does, and its deployment, on one row of a hundred.

What would fail after hours fails within a minute. Nothing of it is kept.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from tunery.types import Checkpoints, DryRun
from tunery_trainer import train
from tunery_trainer.loading import ServedVersion, load_version
from tunery_trainer.memory import peak_bytes
from tunery_trainer.preparation import DRY_STEPS
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    DryRan,
    Finetuned,
    MetricLogged,
)
from tunery_trainer.protocol.specs import EngineRun, FinetuneRun
from tunery_trainer.protocol.wire import Load

DRY_TOKENS = 4096  # of one pass, as an engine takes them
SETTLING_STEPS = 2  # whose time says nothing of the others
_MADE = CheckpointSaved | Finetuned  # and not to be published


def run(
    spec: FinetuneRun,
    emit: Callable[[AnyEvent], None],
    leash_released: Callable[[], bool],
    *,
    seal: str = "none",
) -> None:
    """Train on a few rows, load what was saved as an engine would, and let it answer.

    Ends with the event DryRan, or with Interrupted when the leash was let go.

    Raises:
        Failure: as the fine-tune would.
        Refusal: as its deployment would.
    """
    made: list[AnyEvent] = []
    losses: list[float] = []
    stepped_at: list[float] = []

    def keep(event: AnyEvent) -> None:
        loss = event.values.get("loss") if isinstance(event, MetricLogged) else None
        if isinstance(loss, float):
            losses.append(loss)
            stepped_at.append(time.monotonic())
        if isinstance(event, _MADE):
            made.append(event)
        else:
            emit(event)

    short = replace(spec, checkpoints=Checkpoints(every=DRY_STEPS))
    train.run(short, keep, leash_released, seal=seal)
    if not made or not isinstance(version := made[-1], Finetuned):
        return  # the leash was let go
    saved = next(event for event in made if isinstance(event, CheckpointSaved))
    began_at = time.monotonic()
    served = _load(spec, version)
    load_ms = (time.monotonic() - began_at) * 1000
    seconds = [after - before for before, after in itertools.pairwise(stepped_at)]
    emit(
        DryRan(
            report=DryRun(
                steps=len(losses),
                first_loss=losses[0],
                last_loss=losses[-1],
                seconds_per_step=statistics.median(seconds[SETTLING_STEPS:] or seconds),
                peak_memory_bytes=peak_bytes(spec.device),
                checkpoint_bytes=saved.size_bytes,
                version_bytes=version.size_bytes,
                parity=version.parity,
                runtime=served.runtime.name,
                load_ms=load_ms,
            )
        )
    )


def _load(spec: FinetuneRun, version: Finetuned) -> ServedVersion:
    """Return the version as an engine has it: verified, warm, and right about the canary."""
    model_dir = str(Path(spec.work_dir, version.path))
    return load_version(
        Load(
            id=0,
            version="dry-run",
            model_dir=model_dir,
            manifest_sha256=version.manifest_sha256,
            runtime="auto",
        ),
        EngineRun(
            work_dir=spec.work_dir,
            socket="",
            device=spec.device,
            threads=spec.threads,
            max_queue_tokens=DRY_TOKENS,
            max_batch_tokens=DRY_TOKENS,
            reads=[model_dir],
        ),
    )
