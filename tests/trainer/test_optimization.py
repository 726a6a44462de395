"""Optimizers and schedules against torch's own, step by step."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from tunery.types import Hyperparameters, PlateauSchedule, StepSchedule
from tunery_trainer.hyperparameters import Circumstances, Settings, resolve, settle
from tunery_trainer.optimization import (
    new_optimizer,
    optimizer_tensors,
    restore_optimizer,
    schedule,
    set_learning_rate,
)
from tunery_trainer.state import TrainingState
from tunery_trainer.validation import judge

STEPS = 60
RATE = 1e-3
REFERENCES: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=RATE),
    "adam": lambda groups: torch.optim.Adam(groups, lr=RATE),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=RATE, momentum=0.9),
    "adafactor": lambda groups: torch.optim.Adafactor(groups, lr=RATE),
}


class Small(nn.Module):
    """An encoder of two layers and a head, named as those of a classifier are."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.embeddings = nn.Linear(6, 5)
        self.encoder.layer = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
        self.head = nn.Linear(5, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        states = torch.tanh(self.encoder.embeddings(inputs))
        for layer in self.encoder.layer:
            states = torch.tanh(layer(states))
        return self.head(states)


def settings_of(**fields: Any) -> Settings:
    asked = Hyperparameters(**({"learning_rate": RATE, "head_learning_rate": RATE} | fields))
    circumstances = Circumstances(
        lengths=np.full(9000, 20, dtype=np.int32),
        positions=512,
        class_counts=np.full(77, 100),
        hidden_size=384,
        layers=6,
        validation_rows=1000,
        validation_carved=True,
        has_mask=True,
        labels_are_words=True,
        dropout=0.1,
        unknown_share=0.0,
        on_cpu=True,
        has_bf16=False,
        threads=2,
    )
    return settle(resolve(asked, "balanced", circumstances)[0])


def decayed(model: nn.Module) -> list[dict[str, Any]]:
    """Return torch's groups: no decay on vectors."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return (
        torch.randn(16, 6, generator=generator),
        torch.randint(3, (16,), generator=generator),
    )


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    inputs, targets = batch(step)
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()
    optimizer.zero_grad()


def scheduled(optimizer: torch.optim.Optimizer, name: str) -> Any:
    """Return torch's own schedule behind a warm-up of six steps."""
    warm_up = lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 6))
    after = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "linear": lambda: lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=1e-12, total_iters=STEPS - 6
        ),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 6),
        "step": lambda: lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5),
        "inverse_sqrt": lambda: lr_scheduler.LambdaLR(optimizer, lambda n: (6 / (6 + n)) ** 0.5),
    }[name]()
    return lr_scheduler.SequentialLR(optimizer, [warm_up, after], milestones=[6])


@pytest.mark.parametrize("schedule_name", ["linear", "cosine", "constant", "step", "inverse_sqrt"])
@pytest.mark.parametrize("name", REFERENCES)
def test_each_optimizer_and_schedule_is_torchs(name: str, schedule_name: str) -> None:
    torch.manual_seed(1)
    mine = Small()
    theirs = copy.deepcopy(mine)
    chosen = StepSchedule(step_size=10, gamma=0.5) if schedule_name == "step" else schedule_name
    settings = settings_of(optimizer=name, scheduler=chosen, warmup=6)
    optimizer, reference = new_optimizer(mine, settings), REFERENCES[name](decayed(theirs))
    their_schedule = scheduled(reference, schedule_name)

    for step in range(STEPS):
        factor = schedule(step, STEPS, settings, reductions=0)
        assert RATE * factor == pytest.approx(reference.param_groups[0]["lr"], rel=1e-6, abs=1e-12)
        set_learning_rate(optimizer, factor)
        descend(mine, optimizer, step)
        descend(theirs, reference, step)
        their_schedule.step()
        for own, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)


def test_a_plateau_reduces_the_rate_when_torch_does() -> None:
    settings = settings_of(
        scheduler=PlateauSchedule(factor=0.5, patience=2), early_stopping=None, warmup=0.0
    )
    state = TrainingState()
    parameter = nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([parameter], lr=RATE)
    plateau = lr_scheduler.ReduceLROnPlateau(
        reference, mode="max", factor=0.5, patience=2, threshold=0.0
    )
    figures = [0.1, 0.3, 0.2, 0.3, 0.25, 0.31, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.4, 0.1, 0.1, 0.1]

    for step, figure in enumerate(figures):
        state.step = step
        judge({"macro_f1": figure}, state, settings, "macro_f1")
        plateau.step(figure)
        found = RATE * schedule(step, len(figures), settings, state.reductions)
        assert found == pytest.approx(reference.param_groups[0]["lr"])
    assert state.reductions > 1


@pytest.mark.parametrize("name", REFERENCES)
def test_a_restored_optimizer_goes_on_bit_by_bit(name: str) -> None:
    torch.manual_seed(2)
    settings = settings_of(optimizer=name)
    model = Small()
    optimizer = new_optimizer(model, settings)
    for step in range(5):
        descend(model, optimizer, step)
    tensors = {key: each.clone() for key, each in optimizer_tensors(optimizer, model).items()}
    again = copy.deepcopy(model)
    restored = new_optimizer(again, settings)
    restore_optimizer(restored, again, tensors)

    for step in range(5, 10):
        descend(model, optimizer, step)
        descend(again, restored, step)

    for own, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(own, other)


def test_lower_layers_take_lower_rates() -> None:
    settings = settings_of(layerwise_lr_decay=0.5, head_learning_rate="auto")

    groups = new_optimizer(Small(), settings).param_groups

    peaks = {
        tuple(each["params"][0].shape): each["peak"] for each in groups if each["weight_decay"]
    }
    assert peaks == {(5, 6): RATE / 4, (5, 5): RATE, (3, 5): RATE * 10}
    assert sorted({each["peak"] for each in groups}) == [RATE / 4, RATE / 2, RATE, RATE * 10]
