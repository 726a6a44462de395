"""Preparation: rows as tokens, and every hyperparameter settled.

Owns which rows are trained on and which choose. What attempt 1 resolved stays.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import replace

from tunery.types import Resolved
from tunery.types import Task as TaskName
from tunery_trainer import data, model, scratch
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.data import TokenCache, TokenRows
from tunery_trainer.failure import Failure
from tunery_trainer.hyperparameters import Advice, Circumstances, Settings, resolve, settle
from tunery_trainer.label_names import names_of
from tunery_trainer.parent import Parent, parent_of
from tunery_trainer.protocol.metrics import chosen_by, full_name, parted, usual_metric, wrong_with
from tunery_trainer.protocol.recipes import SCRATCH_BASE
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.stored_texts import has_pairs
from tunery_trainer.tasks import Task, task_named
from tunery_trainer.validation import Measure

DRY_STEPS = 20
DRY_SHARE = 0.01  # of the rows of a class
DRY_ROWS_OF_CLASS = 2  # at least


class Prepared(NamedTuple):
    """What a run works on."""

    task: Task
    base: BaseFacts
    parent: Parent | None  # where the base model is a version
    train: TokenRows  # what weights are fitted to
    validation: TokenRows  # what chooses among them; there may be none
    proof: TokenRows  # what the export is proven on
    resolved: dict[str, Resolved]
    settings: Settings
    advice: list[Advice]
    baselines: dict[str, float]  # what others make of the validation rows, by name
    measure: Measure  # of the validation rows


def prepare(spec: FinetuneRun, alive: Callable[[], None]) -> Prepared:
    """Return what a spec trains on and how; tokens come from an earlier run's cache, if there is.

    `alive` is called as rows are tokenised, and may raise to end it.

    Raises:
        Failure: the base model is not usable, a label is none of the dataset's, or a
            hyperparameter does not fit the model or the device.
    """
    model.quiet()
    data.quiet()
    task = task_named(spec.task)
    base = BaseFacts(Path(spec.base_model_dir))
    cache = _token_cache(spec, task, base)
    train = cache.load(Path(spec.train), "train", alive)
    validation = cache.load(Path(spec.validation), "validation", alive)
    task = task.fitted(train.labels)
    proof = validation if len(validation) > 1 else train  # packing shows in two texts
    lessons, baselines = None, dict[str, float]()
    if spec.base_model == SCRATCH_BASE:
        lessons = scratch.lessons(Path(spec.base_model_dir), cache)
        baselines = scratch.teacher_figures(Path(spec.base_model_dir))
    parent = _parent(spec, pairs=train.pairs)
    resolved, advice = _resolve(spec, task, base, parent, train, validation, lessons)
    settings = settle(resolved)
    if settings.train_on_validation:
        train, validation = train.joined(validation), cache.texts([], [])
    if settings.label_names and (names := names_of(spec.labels)):
        train = train.joined(cache.texts(names, spec.labels))
    if spec.dry_run:
        train, validation, proof = (_few_of(rows, task) for rows in (train, validation, proof))
        settings = replace(settings, max_steps=DRY_STEPS, seeds=1, refit=False, early_stopping=None)
    train = train if lessons is None else lessons
    metric = chosen_by(settings.early_stopping, spec.primary_metric) or usual_metric(spec.task)
    measure = Measure(task, spec.labels, metric, spec.abstain)
    _check_metric(spec.task, measure, validation)
    return Prepared(
        task, base, parent, train, validation, proof, resolved, settings, advice, baselines, measure
    )


def _check_metric(task: TaskName, measure: Measure, validation: TokenRows) -> None:
    """Refuse what can't choose: a figure that there is not, or of a label that no row has.

    Raises:
        Failure: no-such-metric.
    """
    labels, metric = measure.labels, measure.metric
    if (why := wrong_with(metric, task, labels)) is not None:
        raise Failure("no-such-metric", why)
    _, label = parted(metric)
    if label is None or not len(validation):
        return
    if not measure.task.counts(validation.labels, len(labels))[labels.index(label)]:
        raise Failure("no-such-metric", f"no validation row has {label!r}: {metric} can't choose")


def _few_of(rows: TokenRows, task: Task) -> TokenRows:
    """Return one row of a hundred, and at least two of each class, where there are as many.

    Rows of the same labels are a class, of numbers all rows are.
    """
    classes = np.zeros(len(rows), np.int64)
    if task.has_labels and len(rows):
        classes = np.unique(rows.labels, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], classes[order])
    rank = np.arange(len(order)) - starts  # of a row within its class
    size = np.bincount(classes)[classes[order]]
    wanted = np.maximum(DRY_ROWS_OF_CLASS, np.ceil(DRY_SHARE * size))
    return rows.of(np.sort(order[rank < wanted]))


def _token_cache(spec: FinetuneRun, task: Task, base: BaseFacts) -> TokenCache:
    base_dir = Path(spec.base_model_dir)
    return TokenCache(
        Path(spec.cache_dir),
        encoder=task.encoder(base_dir, base.positions),
        tokenizer_file=base_dir / "tokenizer.json",
        positions=base.positions,
        dataset_fingerprint=spec.dataset_fingerprint,
        targets=partial(task.targets, labels=spec.labels),
        pairs=has_pairs(Path(spec.train)),
    )


def _parent(spec: FinetuneRun, *, pairs: bool) -> Parent | None:
    if spec.parent_sha256 is None:
        return None
    return parent_of(
        Path(spec.base_model_dir),
        task=spec.task,
        labels=spec.labels,
        pairs=pairs,
        new_head=spec.hyperparameters.linear_probe is True,
    )


def _resolve(
    spec: FinetuneRun,
    task: Task,
    base: BaseFacts,
    parent: Parent | None,
    train: TokenRows,
    validation: TokenRows,
    lessons: TokenRows | None,
) -> tuple[dict[str, Resolved], list[Advice]]:
    cuda = spec.device != "cpu"
    fresh, advice = resolve(
        spec.hyperparameters,
        spec.recipe if lessons is None else "scratch",
        Circumstances(
            lengths=train.lengths,
            positions=base.positions,
            task=spec.task,
            class_counts=task.counts(train.labels, len(spec.labels)),
            has_mask=base.mask_id is not None,
            labels_are_words=names_of(spec.labels) is not None,
            pairs=train.pairs,
            hidden_size=base.hidden_size,
            layers=base.layers,
            dropout=base.dropout,
            validation_rows=len(validation),
            validation_carved=spec.validation_carved,
            unknown_share=None if base.unknown_id is None else train.share_of(base.unknown_id),
            added_rows=0 if lessons is None else lessons.epoch_rows - len(train),
            parent=parent,
            primary_metric=None if spec.primary_metric is None else full_name(spec.primary_metric),
            abstain=spec.abstain,
            on_cpu=not cuda,
            has_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
            threads=spec.threads,
        ),
    )
    resolved = fresh | (spec.resolved or {})
    if resolved["precision"].value == "fp16" and not cuda:
        raise Failure("unsupported-precision", "fp16 needs a GPU; this device is a CPU")
    return resolved, [] if spec.resolved else advice
