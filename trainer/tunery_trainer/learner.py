"""The learner: a classifier, its optimizer, and the device and precision in which they work.

Owns one optimizer step, and what a checkpoint restores of both.
"""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from tunery_trainer import checkpoint
from tunery_trainer.adapt import reinit_top_layers, set_trainable, take_head
from tunery_trainer.adapters import add_adapters, load_trained
from tunery_trainer.augment import TokenDropout
from tunery_trainer.checkpoint import TRAINED
from tunery_trainer.data import TokenRows
from tunery_trainer.forward import forward_rows
from tunery_trainer.model import Classifier, load_classifier, new_classifier
from tunery_trainer.optimization import (
    accumulate_gradients,
    may_step,
    new_optimizer,
    set_learning_rate,
)
from tunery_trainer.preparation import Prepared
from tunery_trainer.probe import probe_head
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.state import TrainingState
from tunery_trainer.validation import Validated, validate

_MIXED_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Stepped(NamedTuple):
    """What one step has shown."""

    loss: float
    grad_norm: float  # before clipping
    tokens: int  # that passed, with padding
    taken: bool  # False where loss or gradient were such that weights would not stay finite


class Learner:
    """What learns."""

    def __init__(
        self,
        spec: FinetuneRun,
        prepared: Prepared,
        classifier: Classifier,
        rows: TokenRows,
        alive: Callable[[], None],
    ) -> None:
        settings, base = prepared.settings, prepared.base
        self._task, self._settings, self._pad_id = prepared.task, settings, base.pad_id
        self._measure = prepared.measure
        self._rows = rows
        self._accelerator = Accelerator(
            cpu=spec.device == "cpu", mixed_precision=_MIXED_PRECISION[settings.precision]
        )
        device = self._accelerator.device
        self.classifier = classifier
        classifier.to(device).train()
        set_trainable(classifier, settings)
        self.optimizer = new_optimizer(classifier, settings)
        self._model, self._optimizer = self._accelerator.prepare(classifier, self.optimizer)
        self._forward = partial(
            forward_rows,
            max_length=settings.max_length,
            pad_id=base.pad_id,
            device=device,
            alive=alive,
        )
        self._token_dropout = TokenDropout(
            settings.token_dropout,
            mask_id=base.mask_id,
            special_ids=base.special_ids,
            device=device,
        )
        weights = prepared.task.weights(rows.labels, len(spec.labels), settings.imbalance)
        self._weights = None if weights is None else torch.from_numpy(weights).to(device)

    @classmethod
    def begun(
        cls,
        spec: FinetuneRun,
        prepared: Prepared,
        rows: TokenRows,
        seed: int,
        alive: Callable[[], None],
    ) -> Self:
        """Return one that starts from a base model or a version; all random follows `seed`."""
        _seed(seed)
        settings = prepared.settings
        classifier = new_classifier(
            Path(spec.base_model_dir),
            prepared.base,
            prepared.task,
            spec.labels,
            settings.dropout,
            pairs=rows.pairs,
        )
        if prepared.parent is not None:
            take_head(classifier, prepared.parent, prepared.task.fit)
        reinit_top_layers(classifier, settings.reinit_top_layers)
        if settings.peft is not None:
            add_adapters(classifier, settings.peft)
        return cls(spec, prepared, classifier, rows, alive)

    @classmethod
    def resumed(
        cls,
        spec: FinetuneRun,
        prepared: Prepared,
        rows: TokenRows,
        directory: Path,
        alive: Callable[[], None],
    ) -> Self:
        """Return one that takes up where a checkpoint was written."""
        settings = prepared.settings
        if settings.peft is None:
            learner = cls(spec, prepared, load_classifier(directory, settings.dropout), rows, alive)
        else:
            learner = cls.begun(spec, prepared, rows, settings.seed, alive)
            load_trained(learner.classifier, directory / TRAINED)
        checkpoint.load_moments(
            directory, optimizer=learner.optimizer, classifier=learner.classifier
        )
        return learner

    def probe(self, alive: Callable[[], None]) -> None:
        """Start the head from a logistic regression on the rows' features."""
        features = self._forward(self.classifier, self.classifier.pooled, self._rows)
        probe_head(self.classifier, features, self._rows.labels, alive)

    def step(self, indices: NDArray[np.int64], *, factor: float) -> Stepped:
        """Take one optimizer step on some of the rows, at a share of the learning rate's peak."""
        settings = self._settings
        parts = [
            self._token_dropout(
                self._rows.batch(
                    part,
                    max_length=settings.max_length,
                    pad_id=self._pad_id,
                    device=self._accelerator.device,
                )
            )
            for part in np.array_split(indices, settings.gradient_accumulation_steps)
            if len(part)
        ]
        set_learning_rate(self.optimizer, factor)
        loss, grad_norm = accumulate_gradients(
            self._accelerator, self._model, parts, self._task, settings, self._weights
        )
        # Judged before the optimizer sees it, so that the weights stay finite.
        taken = may_step(self._accelerator, loss, grad_norm)
        if taken:
            self._optimizer.step()
        self._optimizer.zero_grad()
        passes = 2 if settings.rdrop else 1
        tokens = passes * sum(part.input_ids.numel() for part in parts)
        return Stepped(loss, grad_norm, tokens, taken)

    def validate(self, rows: TokenRows) -> Validated:
        """Return the figures of the weights as they are now."""
        return validate(self._model, rows, self._forward, self._measure)

    def weights(self) -> dict[str, Tensor]:
        """Return the weights as copies on the CPU."""
        return checkpoint.copy_of_weights(self.classifier)

    def keep_scale(self, state: TrainingState) -> None:
        """Note how far fp16 scales its loss."""
        if self._accelerator.scaler is not None:
            state.scaler = self._accelerator.scaler.state_dict()

    def restore_scale(self, state: TrainingState) -> None:
        """Take up what was noted."""
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state.scaler)

    def close(self) -> None:
        """Free what the device holds."""
        self._accelerator.free_memory()


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
