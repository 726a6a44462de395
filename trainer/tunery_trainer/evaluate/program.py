"""Evaluate a model directory: the rows of one split through the runtime that would serve them.

    python -m tunery_trainer spec.json          where the spec is an EvaluateRun

Leaves `evaluation/` below its `work_dir`: rows.parquet, and a manifest written last. Owns no
figure: those are the task's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tunery_trainer.evaluate import stored_rows
from tunery_trainer.evaluate.answering import Answering, Released
from tunery_trainer.evaluate.measuring import measured
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import ModelFacts, read_facts
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, Evaluated, Interrupted
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.stored_texts import text_columns, texts_of
from tunery_trainer.tasks import Targets, Task, Text, task_named

FOLDER = "evaluation"


def run(
    spec: EvaluateRun, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
) -> None:
    """Evaluate as the spec says; ends with the event Evaluated, or with Interrupted.

    Raises:
        Failure: a file of the model is corrupt, or the rows are not what it reads: labels that it
            does not know, pairs for single texts.
    """
    meter = ProgressMeter(emit)
    meter.enter("loading")
    model_dir = Path(spec.model_dir)
    try:
        manifest.verify(model_dir, spec.manifest_sha256)
    except manifest.ArtifactCorrupt as error:
        raise Failure("checkpoint-corrupt", str(error)) from error
    facts = read_facts(model_dir)
    task = task_named(facts.task, facts.fit)
    split = _read(Path(spec.rows), facts, task)
    answering = Answering(spec, facts, task, meter, leash_released)
    try:
        logits = answering.logits(split.texts)
    except Released as released:
        emit(Interrupted(step=released.rows))
        return

    folder = Path(spec.work_dir, FOLDER)
    folder.mkdir()
    judged = task.judged(logits, split.targets, facts.labels)
    meter.enter("measuring")
    figures = measured(task, logits, split.targets, judged, facts.labels)
    stored_rows.write(folder / stored_rows.NAME, split.table, judged, logits)
    manifest_sha256, size_bytes = manifest.write(folder, {"job": spec.job})
    emit(
        Evaluated(
            path=FOLDER,
            manifest_sha256=manifest_sha256,
            size_bytes=size_bytes,
            rows=len(split.texts),
            runtime=answering.runtime.name,
            precision=answering.runtime.precision,
            metrics=figures.metrics,
            per_class=figures.per_class,
            confusion=figures.confusion,
        )
    )


class Split(NamedTuple):
    """Rows that a model can read, in file order."""

    table: pa.Table
    texts: list[Text]
    targets: Targets


def _read(parquet: Path, facts: ModelFacts, task: Task) -> Split:
    names = text_columns(parquet)
    if facts.pairs != (len(names) == 2):
        kinds = ("pairs", "single texts") if facts.pairs else ("single texts", "pairs")
        raise Failure("pair-mismatch", "the model reads {}, the rows are {}".format(*kinds))
    table = pq.read_table(parquet, columns=["line", *names, "label"])
    texts = texts_of([table.column(name) for name in names])
    return Split(table, texts, task.targets(table.column("label").to_pylist(), facts.labels))
