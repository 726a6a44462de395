"""Gradients, optimizer, schedule: four optimizers, and a learning rate by step and validations.

Owns what a checkpoint must keep of them. The schedule keeps nothing of its own, so that nothing of
it can be restored wrongly.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from tunery.types import PlateauSchedule, StepSchedule
from tunery_trainer.data import Batch
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.parts import layer_of
from tunery_trainer.tasks import Task

SMALLEST_SCALE = 1e-6  # of fp16's loss: once it has fallen below, no gradient was finite for long


def new_optimizer(classifier: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimizer over what is trained; biases and norms do not decay.

    The head takes a rate of its own, and each layer that of the one above times
    `layerwise_lr_decay`. Group key `peak` is the highest learning rate of its schedule.
    Sources: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, for AdamW; Shazeer & Stern
    2018, arXiv:1804.04235, for Adafactor; Howard & Ruder 2018, arXiv:1801.06146, 3.2, for the
    rates of layers.
    """
    members: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    layers = 1 + max((layer_of(name) for name, _ in classifier.named_parameters()), default=0)
    for name, parameter in classifier.named_parameters():
        if parameter.requires_grad:
            peak = settings.head_learning_rate
            if not name.startswith("head."):
                below = layers - 1 - layer_of(name)
                peak = settings.learning_rate * settings.layerwise_lr_decay**below
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            members[peak, decay].append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in members.items()
    ]
    rate = settings.learning_rate
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.999), eps=1e-8, fused=True)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, fused=True)
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(groups, lr=rate)
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-8, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group to this share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def schedule(step: int, total_steps: int, settings: Settings, reductions: int) -> float:
    """Return the share of the peak for the step after `step` steps, 0..1.

    Warm-up counts from 1, so that the first step is not wasted at rate 0. `reductions` are those
    that validations without a better one have brought (see validation.py).
    """
    warmup_steps = warmup_steps_of(total_steps, settings)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    since = step - warmup_steps
    left = (total_steps - step) / max(1, total_steps - warmup_steps)
    match settings.scheduler:
        case StepSchedule(step_size=size, gamma=gamma):
            return float(gamma ** (since // size))
        case PlateauSchedule(factor=factor):
            return float(factor**reductions)
        case "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
        case "inverse_sqrt":
            return math.sqrt(max(1, warmup_steps) / (max(1, warmup_steps) + since))
        case "linear":
            return max(0.0, left)
        case _:
            return 1.0


def warmup_steps_of(total_steps: int, settings: Settings) -> int:
    """Return the steps of the warm-up: a share of all below 1, else so many."""
    if settings.warmup < 1:
        return math.ceil(settings.warmup * total_steps)
    return int(settings.warmup)


def accumulate_gradients(
    accelerator: Accelerator,
    classifier: Any,
    parts: list[Batch],
    task: Task,
    settings: Settings,
    weights: Tensor | None,
) -> tuple[float, float]:
    """Leave clipped gradients of a batch; return its mean loss and their norm before clipping."""
    rows = sum(len(part.labels) for part in parts)
    loss = 0.0
    for part in parts:
        mean = _loss(classifier, part, task, settings, weights)
        share = mean * (len(part.labels) / rows)  # parts may differ by a row
        accelerator.backward(share)
        loss += float(share.detach())
    grad_norm = accelerator.clip_grad_norm_(classifier.parameters(), settings.max_grad_norm)
    return loss, float(grad_norm)


def _loss(
    classifier: Any, part: Batch, task: Task, settings: Settings, weights: Tensor | None
) -> Tensor:
    smoothing = settings.label_smoothing
    if not settings.rdrop:
        logits: Tensor = classifier(part.input_ids, part.attention_mask)  # (B, C)
        return task.loss(logits, part.labels, smoothing, weights)
    # Both passes as one batch: each row draws its own dropout.
    twice: Tensor = classifier(part.input_ids.repeat(2, 1), part.attention_mask.repeat(2, 1))
    mean = task.loss(twice, torch.cat([part.labels, part.labels]), smoothing, weights)
    return mean + settings.rdrop * task.disagreement(*twice.chunk(2))


def may_step(accelerator: Accelerator, loss: float, grad_norm: float) -> bool:
    """Return whether loss and gradient are such that weights stay finite."""
    if accelerator.scaler is None:
        return math.isfinite(loss) and math.isfinite(grad_norm)
    # A gradient that overflows fp16 is no fault: the scaler leaves the step out and scales less.
    scale: float = accelerator.scaler.get_scale()
    return math.isfinite(loss) and (math.isfinite(grad_norm) or scale > SMALLEST_SCALE)


def optimizer_tensors(optimizer: torch.optim.Optimizer, classifier: nn.Module) -> dict[str, Tensor]:
    """Return the state of every parameter, keyed `<parameter>/<moment>`."""
    return {
        f"{name}/{moment}": tensor.detach().cpu()
        for name, parameter in classifier.named_parameters()
        for moment, tensor in optimizer.state[parameter].items()
        if tensor is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, classifier: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = dict(classifier.named_parameters())
    for key, tensor in tensors.items():
        name, _, moment = key.rpartition("/")
        parameter = parameters[name]
        # A copy in memory of its own, as in the run that is resumed (see model.py).
        optimizer.state[parameter][moment] = tensor.to(parameter.device, copy=True)
