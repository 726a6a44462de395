"""Adapters: low-rank matrices beside frozen weights, which take them in when a model is saved.

Source: Hu et al. 2021, arXiv:2106.09685, LoRA. peft is imported where it is used: half a second.
"""

import copy
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from tunery.types import Lora
from tunery_trainer.model import Classifier

_ATTENTION = r".*\b(query|key|value|q_lin|k_lin|v_lin|q_proj|k_proj|v_proj|Wqkv)$"


def add_adapters(classifier: Classifier, lora: Lora) -> None:
    """Put new adapters beside the encoder's linear layers; they change no answer yet."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha if lora.alpha is not None else 2 * lora.r,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.targets == "all-linear" else _ATTENTION,
    )
    encoder: Any = classifier.encoder
    inject_adapter_in_model(config, encoder)


def adapted(encoder: nn.Module) -> list[str]:
    """Return the names of the layers that have an adapter."""
    return [name for name, module in encoder.named_modules() if hasattr(module, "lora_A")]


def merged(encoder: nn.Module) -> nn.Module:
    """Return an encoder of plain layers that answers as one with adapters, or itself."""
    names = adapted(encoder)
    if not names:
        return encoder
    plain = copy.deepcopy(encoder)
    for name in names:
        layer: Any = plain.get_submodule(name)
        layer.merge()
        plain.set_submodule(name, layer.get_base_layer())
    return plain


def save_trained(classifier: Classifier, file: Path) -> None:
    """Write what is trained, as it is: a merged encoder has lost it."""
    trained = {
        name: parameter.detach().cpu()
        for name, parameter in classifier.named_parameters()
        if parameter.requires_grad
    }
    save_file(trained, file)


def load_trained(classifier: Classifier, file: Path) -> None:
    """Put back what `save_trained` wrote, into a base model with new adapters."""
    classifier.load_state_dict(load_file(file), strict=False)
