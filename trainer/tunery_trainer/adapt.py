"""Adapting: which parts of a model are taken over, which are trained, and which begin anew."""

from typing import Any

import torch

from tunery_trainer.hyperparameters import Settings
from tunery_trainer.model import Classifier, linear_of, load_head
from tunery_trainer.parent import Parent
from tunery_trainer.parts import layer_of, part_of
from tunery_trainer.tasks import Fit


def take_head(classifier: Classifier, parent: Parent, fit: Fit) -> None:
    """Give the head the rows of its parent's, and each new row their mean.

    A new label's logit is then the mean of the others': none of the parent's answers changes
    before the first step. What is learned in deviations of rows comes from the parent's into
    those of `fit`. Source: Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language
    Models".
    """
    if not parent.kept:
        return
    own, linear = parent.facts.fit, linear_of(classifier.head)
    weight, bias = load_head(parent.model_dir)  # (C', H), (C',)
    weight = weight / classifier.length * (own.deviation / fit.deviation)
    bias = (bias * own.deviation + own.mean - fit.mean) / fit.deviation
    kept = [row for row in parent.rows if row is not None]
    mean_weight, mean_bias = weight[kept].mean(0), bias[kept].mean()
    with torch.no_grad():
        for i, row in enumerate(parent.rows):
            linear.weight[i] = mean_weight if row is None else weight[row]
            linear.bias[i] = mean_bias if row is None else bias[row]


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
