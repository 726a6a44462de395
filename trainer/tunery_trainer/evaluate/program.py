"""Evaluate a model directory: the rows of one split through the runtime that would serve them.

    python -m tunery_trainer spec.json          where the spec is an EvaluateRun

Leaves `evaluation/` below its `work_dir`: rows.parquet, and a manifest written last. Owns the order
of things.
"""

from collections.abc import Callable
from pathlib import Path

from tunery_trainer.evaluate import stored_rows
from tunery_trainer.evaluate.answering import Answering, Released
from tunery_trainer.evaluate.examination import Examination
from tunery_trainer.evaluate.latency import latency_of
from tunery_trainer.evaluate.measuring import measured
from tunery_trainer.evaluate.splits import read_split
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import ModelFacts, read_facts
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import EVALUATED_ROWS, AnyEvent, Evaluated, Interrupted
from tunery_trainer.protocol.metrics import full_name, wrong_with
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.tasks import Task, task_named

FOLDER = "evaluation"


def run(
    spec: EvaluateRun, emit: Callable[[AnyEvent], None], leash_released: Callable[[], bool]
) -> None:
    """Evaluate as the spec says; ends with the event Evaluated, or with Interrupted.

    Raises:
        Failure: a file of the model is corrupt, or the rows are not what it reads: labels that it
            does not know, pairs for single texts.
    """
    try:
        emit(_evaluated(spec, ProgressMeter(emit), leash_released))
    except Released as released:
        emit(Interrupted(step=released.rows))


def primary_of(spec: EvaluateRun, facts: ModelFacts, task: Task) -> str:
    """Return the metric that is told first: of the evaluation, else of the model, or the usual one.

    Raises:
        Failure: no-such-metric, of the task or for the labels of the model.
    """
    asked = spec.primary_metric or facts.primary_metric
    if asked is None:
        return task.primary_metric
    if (why := wrong_with(asked, facts.task, facts.labels)) is not None:
        raise Failure("no-such-metric", why)
    return full_name(asked)


def _evaluated(
    spec: EvaluateRun, meter: ProgressMeter, leash_released: Callable[[], bool]
) -> Evaluated:
    meter.enter("loading")
    model_dir = Path(spec.model_dir)
    try:
        manifest.verify(model_dir, spec.manifest_sha256)
    except manifest.ArtifactCorrupt as error:
        raise Failure("checkpoint-corrupt", str(error)) from error
    facts = read_facts(model_dir)
    task = task_named(facts.task, facts.fit)
    primary = primary_of(spec, facts, task)
    split = read_split(Path(spec.rows), facts, task)
    answering = Answering(spec, facts, task, meter, leash_released)
    logits = answering.logits(split.texts)

    meter.enter("measuring")
    judged = task.judged(logits, split.targets, facts.labels)
    figures = measured(task, logits, split.targets, judged, facts.labels, primary)
    examination = Examination(spec, facts, task, answering, split, primary)
    found = examination.examine(logits, judged, figures)._asdict()
    nearest = found.pop("nearest")  # which stand with the rows

    latency = latency_of(answering, split.texts)

    folder = Path(spec.work_dir, FOLDER)
    folder.mkdir()
    stored_rows.write(folder / EVALUATED_ROWS, split.table, judged, logits, nearest)
    manifest_sha256, size_bytes = manifest.write(folder, {"job": spec.job})
    return Evaluated(
        path=FOLDER,
        manifest_sha256=manifest_sha256,
        size_bytes=size_bytes,
        rows=len(split.texts),
        runtime=answering.runtime.name,
        precision=answering.runtime.precision,
        metrics=figures.metrics,
        per_class=figures.per_class,
        confusion=figures.confusion,
        primary_metric=primary,
        latency=latency,
        **found,
    )
