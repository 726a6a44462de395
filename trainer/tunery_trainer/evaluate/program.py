"""Evaluate a model directory: the rows of one split through the runtime that would serve them.

    python -m tunery_trainer spec.json          where the spec is an EvaluateRun

Leaves `evaluation/` below its `work_dir`: rows.parquet, and a manifest written last. Owns no
figure: those are the task's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tunery.types import Lineage
from tunery_trainer.evaluate import stored_rows
from tunery_trainer.evaluate.answering import Answering, Released
from tunery_trainer.evaluate.baselines import Compared, compared
from tunery_trainer.evaluate.calibration import calibration_of
from tunery_trainer.evaluate.lineage import seen_rows
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
        meter.enter("measuring")
        judged = task.judged(logits, split.targets, facts.labels)
        figures = measured(task, logits, split.targets, judged, facts.labels)
        baselines = _baselines(spec, task, split, facts, answering)
        lineage = _lineage(spec, task, logits, split, facts)
    except Released as released:
        emit(Interrupted(step=released.rows))
        return

    folder = Path(spec.work_dir, FOLDER)
    folder.mkdir()
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
            primary_metric=task.primary_metric,
            baselines=_known(baselines, spec, task),
            tfidf_rows=0 if baselines is None else baselines.tfidf_rows,
            calibration=calibration_of(task, logits, split.targets, judged, facts.labels),
            lineage=lineage,
        )
    )


class Split(NamedTuple):
    """Rows that a model can read, in file order."""

    table: pa.Table
    texts: list[Text]
    targets: Targets


def _baselines(
    spec: EvaluateRun, task: Task, split: Split, facts: ModelFacts, answering: Answering
) -> Compared | None:
    """Return what the rows that the model was trained on are enough for, where they still are."""
    if spec.train is None or not split.texts:
        return None
    train = _read(Path(spec.train), facts, task)
    return compared(
        task,
        train.texts,
        train.targets,
        held_out=split.texts,
        truth=split.targets,
        labels=facts.labels,
        alive=answering.alive,
    )


def _lineage(
    spec: EvaluateRun, task: Task, logits: NDArray[np.float32], split: Split, facts: ModelFacts
) -> Lineage:
    seen, rows = seen_rows(spec)
    without = {}
    if seen.any():
        without = dict(task.scores(logits[~seen], split.targets[~seen], facts.labels).metrics)
    return Lineage(
        datasets=list(spec.lineage),
        lost=spec.lost,
        compared=rows,
        overlap=int(seen.sum()),
        without=without,
    )


def _known(baselines: Compared | None, spec: EvaluateRun, task: Task) -> dict[str, float]:
    figures = {} if baselines is None else dict(baselines.figures)
    if task.primary_metric in spec.untrained:
        figures["untrained"] = spec.untrained[task.primary_metric]
    return figures


def _read(parquet: Path, facts: ModelFacts, task: Task) -> Split:
    names = text_columns(parquet)
    if facts.pairs != (len(names) == 2):
        kinds = ("pairs", "single texts") if facts.pairs else ("single texts", "pairs")
        raise Failure("pair-mismatch", "the model reads {}, the rows are {}".format(*kinds))
    table = pq.read_table(parquet, columns=["line", *names, "label"])
    texts = texts_of([table.column(name) for name in names])
    return Split(table, texts, task.targets(table.column("label").to_pylist(), facts.labels))
