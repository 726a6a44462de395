"""Gradients, optimizer, schedule: AdamW in four groups, a learning rate by step alone.

Owns what a checkpoint must keep of them. The schedule keeps nothing, so that nothing of it can be
restored wrongly.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from tunery_trainer.data import Batch
from tunery_trainer.hyperparameters import Settings
from tunery_trainer.tasks import Task

SMALLEST_SCALE = 1e-6  # of fp16's loss: once it has fallen below, no gradient was finite for long


def new_optimizer(classifier: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """Return AdamW over encoder and head; biases and norms do not decay.

    The head starts from nothing and takes ten times the rate of the encoder. Group key `peak` is
    the highest learning rate of its schedule.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    groups: list[dict[str, Any]] = []
    for prefix, peak in (
        ("encoder.", settings.learning_rate),
        ("head.", settings.head_learning_rate),
    ):
        members = [p for name, p in classifier.named_parameters() if name.startswith(prefix)]
        matrices = [parameter for parameter in members if parameter.ndim > 1]
        vectors = [parameter for parameter in members if parameter.ndim <= 1]
        groups.append({"params": matrices, "peak": peak, "weight_decay": settings.weight_decay})
        groups.append({"params": vectors, "peak": peak, "weight_decay": 0.0})
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group to this share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def schedule(step: int, total_steps: int, settings: Settings) -> float:
    """Return the share of the peak for the step after `step` steps, 0..1.

    Warm-up counts from 1, so that the first step is not wasted at rate 0.
    """
    warmup_steps = math.ceil(settings.warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    left = (total_steps - step) / max(1, total_steps - warmup_steps)
    if settings.scheduler == "constant":
        return 1.0
    if settings.scheduler == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
    return max(0.0, left)


def accumulate_gradients(
    accelerator: Accelerator, classifier: Any, parts: list[Batch], task: Task, settings: Settings
) -> tuple[float, float]:
    """Leave clipped gradients of a batch; return its mean loss and their norm before clipping."""
    rows = sum(len(part.labels) for part in parts)
    loss = 0.0
    for part in parts:
        logits: Tensor = classifier(part.input_ids, part.attention_mask)  # (B, C)
        mean = task.loss(logits, part.labels, settings.label_smoothing)
        share = mean * (len(part.labels) / rows)  # parts may differ by a row
        accelerator.backward(share)
        loss += float(share.detach())
    grad_norm = accelerator.clip_grad_norm_(classifier.parameters(), settings.max_grad_norm)
    return loss, float(grad_norm)


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
