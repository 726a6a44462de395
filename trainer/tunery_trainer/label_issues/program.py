"""Find label issues: features, predictions out of fold, confident learning, a list.

    python -m tunery_trainer spec.json          where the spec is a LabelIssuesRun

Leaves `label-issues/` below its `work_dir`: issues.parquet, and a manifest written last. Owns the
order of things.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tunery_trainer.failure import Failure
from tunery_trainer.ingest.pulse import LeashReleased, Pulse
from tunery_trainer.label_issues import stored_issues
from tunery_trainer.label_issues.confident import doubts_of
from tunery_trainer.label_issues.features import counted, encoded
from tunery_trainer.label_issues.folds import folds_of, out_of_fold
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    LABEL_ISSUES,
    AnyEvent,
    Interrupted,
    LabelIssuesFound,
)
from tunery_trainer.protocol.specs import LabelIssuesRun
from tunery_trainer.stored_texts import text_columns, texts_of
from tunery_trainer.tasks import task_named

FOLDER = "label-issues"


def run(
    spec: LabelIssuesRun, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
) -> None:
    """Look as the spec says; ends with the event LabelIssuesFound, or with Interrupted.

    Raises:
        Failure: the base model is not usable.
    """
    torch.set_num_threads(spec.threads)
    try:
        emit(_found(spec, Pulse(emit, leash_released)))
    except LeashReleased:
        emit(Interrupted(step=0))


def _found(spec: LabelIssuesRun, pulse: Pulse) -> LabelIssuesFound:
    pulse.beat("loading", 0)
    table = _rows_of(spec)
    names = ["text", "text_pair"] if "text_pair" in table.column_names else ["text"]
    texts = texts_of([table.column(name) for name in names])
    targets = task_named("text_classification").targets(
        table.column("label").to_pylist(), spec.labels
    )

    if spec.base_model_dir is None:
        features = counted(texts, spec.seed, pulse)
    else:
        features = encoded(texts, Path(spec.base_model_dir), pulse)
    if not np.isfinite(features).all():
        raise Failure("unknown-base-model", f"{spec.base_model} gives features that are no numbers")
    fold = folds_of(texts, targets, spec.folds, spec.seed)
    said = out_of_fold(features, targets, len(spec.labels), fold, pulse)

    pulse.beat("judging", 0)
    doubts = doubts_of(targets, said)
    folder = Path(spec.work_dir, FOLDER)
    folder.mkdir()
    stored_issues.write(folder / LABEL_ISSUES, table, doubts, spec.labels)
    manifest_sha256, size_bytes = manifest.write(
        folder, {"job": spec.job, "base_model": spec.base_model, "rows": table.num_rows}
    )
    return LabelIssuesFound(
        path=FOLDER,
        manifest_sha256=manifest_sha256,
        size_bytes=size_bytes,
        rows=table.num_rows,
        issues=len(doubts.rows),
    )


def _rows_of(spec: LabelIssuesRun) -> pa.Table:
    """Return the rows of all splits that are judged, each with the name of its split."""
    parts = []
    for split, parquet in spec.rows.items():
        columns = ["line", *text_columns(Path(parquet)), "label"]
        part = pq.read_table(parquet, columns=columns)
        parts.append(part.append_column("split", pa.array([split] * part.num_rows, pa.string())))
    return pa.concat_tables(parts)
