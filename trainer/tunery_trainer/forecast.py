"""Forecast: what a fine-tune would compute and hold, from its rows' lengths and its base's shapes.

Owns the arithmetic of steps and tokens; seconds are the server's, which knows what other jobs took.
Goes through the very functions that the recipe uses, and imports no torch.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery.types import Checkpoints
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.epochs import TRAINING_BUCKET, epoch_batches
from tunery_trainer.failure import Failure, Refusal
from tunery_trainer.hyperparameters import Circumstances, Settings, resolve, settle
from tunery_trainer.label_names import names_of
from tunery_trainer.padding import bucket_length
from tunery_trainer.parent import Parent, parent_of
from tunery_trainer.protocol.wire import Forecasted, ForecastFinetune
from tunery_trainer.sizes import Sizes
from tunery_trainer.tasks import Encoder, Task, task_named

MEASURED_ROWS = 20_000  # of each split, evenly spread; the rest is taken to be like them
_BATCH_ROWS = 8192  # read at once


class Lengths:
    """Tokens of a split's rows: of a sample of them where they are many."""

    def __init__(self, path: Path, task: Task, encoder: Encoder, labels: Sequence[str]) -> None:
        from pyarrow import parquet  # 60 MB: only once somebody looks into a dataset

        from tunery_trainer.stored_texts import text_columns, texts_of

        file = parquet.ParquetFile(path)
        self.rows = file.metadata.num_rows
        self.class_counts = np.zeros(len(labels), dtype=np.int64)
        numbers = {label: i for i, label in enumerate(labels)}
        stride = max(1, self.rows // MEASURED_ROWS)
        self.ids: list[list[int]] = []
        names = text_columns(path)
        for batch in file.iter_batches(_BATCH_ROWS, columns=[*names, "label"]):
            for found in batch.column("label").value_counts().to_pylist():
                for label in task.labels_of(found["values"]):
                    self.class_counts[numbers[label]] += found["counts"]
            self.ids += encoder(texts_of([batch.column(name)[::stride] for name in names])).ids

    @property
    def tokens(self) -> NDArray[np.int32]:
        """Return the tokens of each row (rows,)."""
        sample = np.fromiter(map(len, self.ids), dtype=np.int32, count=len(self.ids))
        return np.resize(sample, self.rows)

    def share_of(self, token: int) -> float:
        """Return the share of one token among all, 0..1."""
        found = sum(ids.count(token) for ids in self.ids)
        return found / max(1, sum(map(len, self.ids)))


def forecast(message: ForecastFinetune, base_dir: Path) -> Forecasted:
    """Return what a fine-tune would compute and hold.

    Raises:
        Refusal: the job would fail by its hyperparameters.
    """
    try:
        base = BaseFacts(base_dir)
        task = task_named(message.task)
        encoder = task.encoder(base_dir, base.positions)
        train = Lengths(Path(message.train), task, encoder, message.labels)
        validation = Lengths(Path(message.validation), task, encoder, message.labels)
        resolved, _ = resolve(
            message.hyperparameters,
            message.recipe,
            _circumstances(message, base_dir, base, train, validation),
        )
    except Failure as failure:
        code = "schema-violation" if failure.code == "no-such-layer" else failure.code
        raise Refusal(code, failure.message) from failure
    settings = settle(resolved)
    lengths, held_out = train.tokens, validation.tokens
    if settings.train_on_validation:
        lengths, held_out = np.concatenate([lengths, held_out]), held_out[:0]
    if settings.label_names and (names := names_of(message.labels)):
        of_names = np.array([len(ids) for ids in encoder(names).ids], dtype=np.int32)
        lengths = np.concatenate([lengths, of_names])
    phases = _phases(lengths, held_out, settings)
    saves = [phase.saves(message.checkpoints) for phase in phases]
    passes = [_passes(phase.lengths, settings, message.device) for phase in phases]
    parts = [part for found in passes for part in found]
    sizes = Sizes(base_dir, base, task.outputs(len(message.labels)), settings)
    kept = _kept(message.checkpoints, sum(saves), last_is_best=len(phases) > settings.seeds)
    return Forecasted(
        id=message.id,
        resolved=resolved,
        rows=len(lengths),
        steps=sum(phase.steps for phase in phases),
        tokens=round(
            sum(
                phase.steps / phase.steps_per_epoch * sum(rows * tokens for rows, tokens in found)
                for phase, found in zip(phases, passes, strict=True)
            )
        ),
        validations=sum(saves),
        validation_tokens=sum(saves[: settings.seeds])
        * int(np.minimum(held_out, settings.max_length).sum()),
        memory_bytes=sizes.memory(base, parts, settings, message.device),
        checkpoints=kept,
        checkpoint_bytes=sizes.checkpoint(with_best=kept > 1),
        checkpoints_bytes=sizes.checkpoint(with_best=False)
        + (kept - 1) * sizes.checkpoint(with_best=True),
        version_bytes=sizes.version,
    )


def _circumstances(
    message: ForecastFinetune,
    base_dir: Path,
    base: BaseFacts,
    train: Lengths,
    validation: Lengths,
) -> Circumstances:
    from tunery_trainer.stored_texts import has_pairs

    on_cpu, pairs = message.device == "cpu", has_pairs(Path(message.train))
    parent: Parent | None = None
    if message.version_dir is not None:
        parent = parent_of(
            base_dir,
            task=message.task,
            labels=message.labels,
            pairs=pairs,
            new_head=message.hyperparameters.linear_probe is True,
        )
    return Circumstances(
        task=message.task,
        lengths=train.tokens,
        positions=base.positions,
        class_counts=train.class_counts,
        validation_rows=validation.rows,
        validation_carved=message.validation_carved,
        has_mask=base.mask_id is not None,
        labels_are_words=names_of(message.labels) is not None,
        pairs=pairs,
        hidden_size=base.hidden_size,
        layers=base.layers,
        dropout=base.dropout,
        unknown_share=None if base.unknown_id is None else train.share_of(base.unknown_id),
        parent=parent,
        abstain=message.abstain,
        on_cpu=on_cpu,
        has_bf16=not on_cpu,  # as GPUs have since 2020; the job asks its own
        threads=message.threads,
    )


class _Phase(NamedTuple):
    """One training of the run, to its last step."""

    lengths: NDArray[np.int32]
    steps_per_epoch: int
    steps: int

    def saves(self, asked: Checkpoints) -> int:
        """Return how many checkpoints it writes, each after a validation where that chooses."""
        every = self.steps_per_epoch if asked.every == "epoch" else asked.every
        return math.ceil(self.steps / every)


def _phases(
    lengths: NDArray[np.int32], held_out: NDArray[np.int32], settings: Settings
) -> list[_Phase]:
    """Return the trainings of a run, as phases.py has them, where none stops early."""
    rows = [lengths] * settings.seeds
    if settings.refit:
        rows.append(np.concatenate([lengths, held_out]))
    elif settings.seeds > 1:
        rows.append(lengths)
    epochs = [math.ceil(len(each) / settings.batch_size) for each in rows]
    return [
        _Phase(each, epoch, settings.max_steps or epoch * settings.epochs)
        for each, epoch in zip(rows, epochs, strict=True)
    ]


def _passes(lengths: NDArray[np.int32], settings: Settings, device: str) -> list[tuple[int, int]]:
    """Return each micro-batch of an epoch as rows and padded tokens of a row."""
    cut = np.minimum(lengths, settings.max_length)
    passes = 2 if settings.rdrop else 1
    return [
        (passes * len(part), bucket_length(int(cut[part].max()), TRAINING_BUCKET[device]))
        for batch in epoch_batches(cut, batch_size=settings.batch_size, seed=settings.seed, epoch=0)
        for part in np.array_split(batch, settings.gradient_accumulation_steps)
        if len(part)
    ]


def _kept(asked: Checkpoints, saves: int, *, last_is_best: bool) -> int:
    """Return how many checkpoints stay at most: the best may be another than the newest ones."""
    return min(saves, asked.keep_last + asked.keep_best - (1 if last_is_best else 0))
