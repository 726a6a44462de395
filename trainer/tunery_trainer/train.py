"""Fine-tune a classifier: the recipe, read from top to bottom.

    python -m tunery_trainer spec.json          where the spec is a FinetuneRun

Owns the order of things: rows to tokens, hyperparameters, steps, validations, checkpoints, the
version at the end. It names train and validation rows only; the test split is not within its reach.
Importing this module imports everything that a first step needs, so that a warm spare is warm.
"""

import contextlib
import logging
import math
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers.models.bert.modeling_bert  # noqa: F401 - the usual encoder; else 1.7 s later
from accelerate import Accelerator
from numpy.typing import NDArray

from tunery.types import Resolved
from tunery_trainer import checkpoint, data, model
from tunery_trainer.adapt import reinit_top_layers, set_trainable
from tunery_trainer.augment import TokenDropout, names_of
from tunery_trainer.baselines import BASELINE_ROWS, majority, untrained
from tunery_trainer.checkpoint import TrainingState
from tunery_trainer.data import TokenCache, TokenRows, epoch_batches
from tunery_trainer.dropout import use_fast_masks
from tunery_trainer.failure import Failure
from tunery_trainer.forward import forward_rows
from tunery_trainer.hyperparameters import Advice, Circumstances, resolve, settle
from tunery_trainer.imbalance import class_weights_of, sampling_weights_of
from tunery_trainer.model import BaseFacts, load_classifier, new_classifier
from tunery_trainer.optimization import (
    accumulate_gradients,
    may_step,
    new_optimizer,
    schedule,
    set_learning_rate,
)
from tunery_trainer.probe import probe_head
from tunery_trainer.progress import ProgressMeter
from tunery_trainer.protocol.events import (
    AnyEvent,
    HyperparametersResolved,
    Interrupted,
    MetricLogged,
    WarningRaised,
    finite,
)
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.publishing import Publisher
from tunery_trainer.tasks import Task, task_named
from tunery_trainer.validation import judge, validate

LOG_EVERY_STEPS = 10  # at most this; a run has at least LOGGED_LOSSES, if it has as many steps
LOGGED_LOSSES = 20
_MIXED_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}

_log = logging.getLogger(__name__)


class _Released(Exception):
    """The leash was let go where there is nothing to save but what stands."""


def run(
    spec: FinetuneRun,
    emit: Callable[[AnyEvent], None],
    leash_released: Callable[[], bool],
    *,
    seal: str = "none",
) -> None:
    """Train as the spec says, and leave `checkpoints/` and `version/` below its `work_dir`.

    Ends with the event Finetuned, or with Interrupted when the leash was let go. `seal` is what
    confines the process, for the manifests.

    Raises:
        Failure: trying again would not help, e.g. `non-finite-loss`.
    """
    try:
        _finetune(spec, emit, leash_released, seal)
    except torch.OutOfMemoryError as error:
        raise Failure("out-of-memory", f"{spec.device}: {error}") from error


def _finetune(
    spec: FinetuneRun,
    emit: Callable[[AnyEvent], None],
    leash_released: Callable[[], bool],
    seal: str,
) -> None:
    meter = ProgressMeter(emit)
    _log.info("%s, attempt %d: %s on %s", spec.job, spec.attempt, spec.base_model, spec.device)

    def alive() -> None:
        if leash_released():
            raise _Released
        meter.alive()

    # Rows as tokens, from the cache of an earlier run where there was one.
    meter.enter("tokenising")
    model.quiet()
    data.quiet()
    task = task_named(spec.task)
    base_dir = Path(spec.base_model_dir)
    base = BaseFacts(base_dir)
    cache = _token_cache(spec, task, base)
    try:
        train = cache.load(Path(spec.train), "train", alive)
        validation = cache.load(Path(spec.validation), "validation", alive)
    except _Released:
        emit(Interrupted(step=0))
        return
    _log.info("tokenised %d training and %d validation rows", len(train), len(validation))
    proof = validation if len(validation) else train

    # Hyperparameters. What attempt 1 resolved stays.
    resolved, advice = _resolve(spec, base, train, len(validation))
    settings = settle(resolved)
    for each in advice:
        emit(WarningRaised(code=each.code, message=each.message))
    emit(HyperparametersResolved(resolved=resolved))
    _log.info("%s", ", ".join(f"{name} {each.value}" for name, each in resolved.items()))
    if settings.train_on_validation:
        train, validation = train.joined(validation), cache.texts([], [])
    if settings.label_names and (names := names_of(spec.labels)):
        train = train.joined(cache.texts(names, range(len(names))))

    # Model and optimizer, as they were when the last attempt stopped.
    meter.enter("loading")
    torch.set_num_threads(settings.threads)
    if spec.device == "cpu":
        use_fast_masks()
    accelerator = Accelerator(
        cpu=spec.device == "cpu", mixed_precision=_MIXED_PRECISION[settings.precision]
    )
    _seed(settings.seed)
    if spec.resume_from is None:
        classifier = new_classifier(base_dir, base, task, spec.labels, settings.dropout)
        reinit_top_layers(classifier, settings.reinit_top_layers)
    else:
        classifier = load_classifier(Path(spec.resume_from), settings.dropout)
    classifier.to(accelerator.device).train()
    set_trainable(classifier, settings)
    forward = partial(
        forward_rows,
        max_length=settings.max_length,
        pad_id=base.pad_id,
        device=accelerator.device,
        alive=alive,
    )
    if settings.linear_probe and spec.resume_from is None:
        meter.enter("probing")
        try:
            features = forward(classifier, classifier.pooled, train)
            probe_head(classifier, features, train.labels, alive)
        except _Released:
            emit(Interrupted(step=0))
            return
    optimizer = new_optimizer(classifier, settings)
    prepared_model, prepared_optimizer = accelerator.prepare(classifier, optimizer)
    state, best_weights = TrainingState(), None
    if spec.resume_from is not None:
        state, best_weights = checkpoint.load_resume(
            Path(spec.resume_from), optimizer=optimizer, classifier=classifier
        )
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state.scaler)
    judges_initial = spec.resume_from is None and len(validation)
    initial = checkpoint.copy_of_weights(classifier) if judges_initial else None
    publisher = Publisher(spec, emit, resolved=resolved, settings=settings, seal=seal)

    def save(figures: dict[str, float], *, best: bool) -> None:
        if accelerator.scaler is not None:
            state.scaler = accelerator.scaler.state_dict()
        publisher.checkpoint(
            classifier,
            optimizer,
            state,
            epoch=state.step / steps_per_epoch,
            figures=figures,
            best=best,
            best_weights=best_weights,
        )

    # Steps. Epoch, batch and learning rate are functions of the step: a resumed run is nowhere
    # else than the first one was.
    lengths = np.minimum(train.lengths, settings.max_length)
    steps_per_epoch = math.ceil(len(train) / settings.batch_size)
    total_steps = settings.max_steps or steps_per_epoch * settings.epochs
    log_every = max(1, min(LOG_EVERY_STEPS, total_steps // LOGGED_LOSSES))
    every = steps_per_epoch if spec.checkpoints.every == "epoch" else spec.checkpoints.every
    began_at = time.monotonic() - state.elapsed_seconds
    validation_seconds = 0.0
    batches: list[NDArray[np.int64]] = []
    token_dropout = TokenDropout(
        settings.token_dropout,
        mask_id=base.mask_id,
        special_ids=base.special_ids,
        device=accelerator.device,
    )
    counts = np.bincount(train.labels, minlength=len(spec.labels))
    class_weights = class_weights_of(counts, settings.imbalance, accelerator.device)
    sampling_weights = sampling_weights_of(counts, train.labels, settings.imbalance)
    _log.info("training from step %d to %d", state.step, total_steps)
    meter.enter("training")
    while True:
        ending = state.step >= total_steps or state.stop_reason is not None
        due = state.step > 0 and (ending or state.step % every == 0)
        if due and state.step != state.validated_step:
            validated_at = time.monotonic()
            meter.enter("validating")
            try:
                figures = validate(prepared_model, validation, task, forward)
            except _Released:
                save({}, best=False)
                emit(Interrupted(step=state.step))
                return
            if figures:
                emit(MetricLogged(step=state.step, values=finite(figures)))
            told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
            _log.info("validated at step %d: %s", state.step, told or "there are no rows")
            finished = state.step >= total_steps and state.stop_reason is None
            better = judge(figures, state, settings)
            if finished:
                state.stop_reason = None  # nothing was stopped early
            if better:
                best_weights = checkpoint.copy_of_weights(classifier)
            save(figures, best=better)
            validation_seconds = time.monotonic() - validated_at
            meter.enter("training")
            continue
        if ending:
            break

        epoch, position = divmod(state.step, steps_per_epoch)
        if position == 0 or not batches:
            batches = epoch_batches(
                lengths,
                batch_size=settings.batch_size,
                seed=settings.seed,
                epoch=epoch,
                weights=sampling_weights,
            )
        parts = [
            token_dropout(
                train.batch(
                    part,
                    max_length=settings.max_length,
                    pad_id=base.pad_id,
                    device=accelerator.device,
                )
            )
            for part in np.array_split(batches[position], settings.gradient_accumulation_steps)
            if len(part)
        ]
        factor = schedule(state.step, total_steps, settings, state.reductions)
        set_learning_rate(optimizer, factor)
        loss, grad_norm = accumulate_gradients(
            accelerator, prepared_model, parts, task, settings, class_weights
        )
        # Judged before the optimizer sees it, so that the weights stay finite.
        if not may_step(accelerator, loss, grad_norm):
            values = {"loss": loss, "grad_norm": grad_norm}
            emit(MetricLogged(step=state.step + 1, values=finite(values)))
            raise Failure(
                "non-finite-loss",
                f"at step {state.step + 1} the loss was {loss:g} and the gradient's norm "
                f"{grad_norm:g}; lower learning_rate ({settings.learning_rate:g})",
            )
        prepared_optimizer.step()
        prepared_optimizer.zero_grad()
        state.step += 1
        state.elapsed_seconds = time.monotonic() - began_at
        state.window_loss += loss
        state.window_steps += 1
        if state.step in (1, total_steps) or state.step % log_every == 0:
            values = {
                "loss": state.window_loss / state.window_steps,
                "learning_rate": settings.learning_rate * factor,
                "grad_norm": grad_norm,
            }
            emit(MetricLogged(step=state.step, values=finite(values)))
            state.window_loss, state.window_steps = 0.0, 0
        if initial is not None:
            # After the first step, which so comes a second earlier.
            few = validation.spread(BASELINE_ROWS)
            with contextlib.suppress(_Released):  # the leash is looked at below
                judged = partial(validate, prepared_model, few, task, forward)
                figures = untrained(classifier, initial, judged) | majority(few, counts, task)
                emit(MetricLogged(step=0, values=finite(figures)))
        initial = None
        meter.stepped(
            step=state.step,
            total_steps=total_steps,
            epoch=state.step / steps_per_epoch,
            examples=len(batches[position]),
        )
        if settings.max_minutes is not None and (
            # The last validation must fit in, too.
            state.elapsed_seconds + validation_seconds >= settings.max_minutes * 60
        ):
            state.stop_reason = "time-budget"
        if leash_released():
            save({}, best=False)
            emit(Interrupted(step=state.step))
            return

    # The version: the best weights, and their export.
    meter.enter("exporting")
    assert best_weights is not None
    assert state.best_step is not None
    _log.info("exporting the weights of step %d", state.best_step)
    classifier.load_state_dict(best_weights)
    publisher.version(
        classifier,
        step=state.best_step,
        stop_reason=state.stop_reason,
        proof=proof,
        alive=meter.alive,
    )


def _token_cache(spec: FinetuneRun, task: Task, base: BaseFacts) -> TokenCache:
    base_dir = Path(spec.base_model_dir)
    return TokenCache(
        Path(spec.cache_dir),
        encoder=task.encoder(base_dir, base.positions),
        tokenizer_file=base_dir / "tokenizer.json",
        positions=base.positions,
        dataset_fingerprint=spec.dataset_fingerprint,
        labels=spec.labels,
    )


def _resolve(
    spec: FinetuneRun, base: BaseFacts, train: TokenRows, validation_rows: int
) -> tuple[dict[str, Resolved], list[Advice]]:
    cuda = spec.device != "cpu"
    fresh, advice = resolve(
        spec.hyperparameters,
        spec.recipe,
        Circumstances(
            lengths=train.lengths,
            positions=base.positions,
            class_counts=np.bincount(train.labels, minlength=len(spec.labels)),
            has_mask=base.mask_id is not None,
            labels_are_words=names_of(spec.labels) is not None,
            hidden_size=base.hidden_size,
            layers=base.layers,
            dropout=base.dropout,
            validation_rows=validation_rows,
            unknown_share=None if base.unknown_id is None else train.share_of(base.unknown_id),
            on_cpu=not cuda,
            has_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
            threads=spec.threads,
        ),
    )
    resolved = fresh | (spec.resolved or {})  # what attempt 1 resolved stays
    if resolved["precision"].value == "fp16" and not cuda:
        raise Failure("unsupported-precision", "fp16 needs a GPU; this device is a CPU")
    return resolved, [] if spec.resolved else advice


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
