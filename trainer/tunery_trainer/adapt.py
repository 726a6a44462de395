"""Adapting: which parts of a base model are trained, and which begin anew."""

from typing import Any

from tunery_trainer.hyperparameters import Settings
from tunery_trainer.model import Classifier
from tunery_trainer.parts import layer_of, part_of


def set_trainable(classifier: Classifier, settings: Settings) -> None:
    """Freeze what the settings name, and keep activations or compute them again."""
    for name, parameter in classifier.encoder.named_parameters(prefix="encoder"):
        adapted = settings.peft is None or ".lora_" in name
        parameter.requires_grad = adapted and part_of(name) not in settings.freeze
    encoder: Any = classifier.encoder
    if settings.gradient_checkpointing:
        encoder.activation_checkpointing_enable({"use_reentrant": False})


def reinit_top_layers(classifier: Classifier, count: int) -> None:
    """Give the uppermost layers new weights, by the model's own rule.

    Source: Zhang et al. 2021, arXiv:2006.05987: what they learned in pre-training is of little use.
    """
    encoder: Any = classifier.encoder
    names = [name for name, _ in encoder.named_parameters(prefix="encoder")]
    first = 1 + max(map(layer_of, names)) - count
    for name, module in encoder.named_modules(prefix="encoder"):
        if not list(module.children()) and layer_of(f"{name}.") >= first and count:
            _renew(encoder, module)


def _renew(encoder: Any, module: Any) -> None:
    for each in (module, *module.parameters()):
        each._is_hf_initialized = False  # else transformers leaves it as it was
    encoder._init_weights(module)
