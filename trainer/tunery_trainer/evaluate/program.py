"""Evaluate a model directory: the rows of one split through the runtime that would serve them.

    python -m tunery_trainer spec.json          where the spec is an EvaluateRun

Owns no figure: those are the task's.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tunery_trainer import runtimes
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import ModelFacts, read_facts
from tunery_trainer.padding import bucket_length
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, Evaluated, Interrupted
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.stored_texts import text_columns, texts_of
from tunery_trainer.tasks import Targets, Task, Text, task_named

CHUNK_ROWS = 256  # of one call: of like length, and short enough to show progress between


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
    texts, targets = _rows(Path(spec.rows), facts, task)
    runtime = runtimes.load(model_dir, spec.runtime, device=spec.device, threads=spec.threads)

    meter.enter("tokenising")
    encoder = task.encoder(model_dir, facts.max_length)
    token_ids: list[list[int]] = []
    for start in range(0, len(texts), CHUNK_ROWS):
        token_ids += encoder(texts[start : start + CHUNK_ROWS]).ids
        meter.alive()
        if leash_released():
            emit(Interrupted(step=0))
            return

    meter.enter("evaluating")
    logits = np.zeros((len(texts), task.outputs(len(facts.labels))), dtype=np.float32)
    done = 0
    for indices in _chunks(token_ids):
        logits[indices] = runtime.logits([token_ids[i] for i in indices])  # (B, C)
        done += len(indices)
        meter.stepped(
            step=done, total_steps=len(texts), epoch=done / len(texts), examples=len(indices)
        )
        if leash_released():
            emit(Interrupted(step=done))
            return

    scores = task.scores(logits, targets, facts.labels)
    emit(
        Evaluated(
            rows=len(texts),
            runtime=runtime.name,
            precision=runtime.precision,
            metrics=scores.metrics,
            per_class=scores.per_class,
            confusion=scores.confusion,
        )
    )


def _rows(parquet: Path, facts: ModelFacts, task: Task) -> tuple[list[Text], Targets]:
    names = text_columns(parquet)
    if facts.pairs != (len(names) == 2):
        kinds = ("pairs", "single texts") if facts.pairs else ("single texts", "pairs")
        raise Failure("pair-mismatch", "the model reads {}, the rows are {}".format(*kinds))
    table = pq.read_table(parquet, columns=[*names, "label"])
    texts = texts_of([table.column(name) for name in names])
    return texts, task.targets(table.column("label").to_pylist(), facts.labels)


def _chunks(token_ids: list[list[int]]) -> Iterator[list[int]]:
    by_length = sorted(range(len(token_ids)), key=lambda i: -bucket_length(len(token_ids[i])))
    return (by_length[i : i + CHUNK_ROWS] for i in range(0, len(by_length), CHUNK_ROWS))
