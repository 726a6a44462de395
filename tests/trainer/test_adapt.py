"""Which parts of a base model are trained, and which begin anew."""

from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from tests.trainer.tiny_model import Bench

from tunery.types import Hyperparameters
from tunery_trainer.adapt import reinit_top_layers
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.model import new_classifier
from tunery_trainer.protocol import manifest
from tunery_trainer.tasks import task_named

ASKED = Hyperparameters(epochs=3, learning_rate=5e-3, freeze=())


def weights(model_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(model_dir / "model.safetensors")


def changed(bench: Bench, work: str = "work") -> set[str]:
    """Return which part of the encoder a run has changed: embeddings, layer.0, layer.1."""
    before, after = weights(bench.base), weights(bench.directory / work / "version")
    names = {name for name in after if not torch.equal(before[name], after[name])}
    return {"embeddings" if "embeddings" in name else name.split(".layer.")[1][0] for name in names}


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        ([], {"embeddings", "0", "1"}),
        (["embeddings"], {"0", "1"}),
        (["embeddings", 0], {"1"}),
        ([1], {"embeddings", "0"}),
    ],
)
def test_what_is_frozen_stays_as_it_was(bench: Bench, freeze: list, trained: set[str]) -> None:
    bench.run(bench.spec(hyperparameters=msgspec.structs.replace(ASKED, freeze=freeze)))

    assert changed(bench) == trained


def test_only_the_top_layers_begin_anew(bench: Bench) -> None:
    facts = BaseFacts(bench.base)
    made = [
        new_classifier(bench.base, facts, task_named("text_classification"), ["a", "b"], 0.1)
        for _ in range(2)
    ]

    reinit_top_layers(made[1], 1)

    old, new = (each.encoder.state_dict() for each in made)
    differ = {name for name in old if not torch.equal(old[name], new[name])}
    assert differ
    assert all(".layer.1." in name for name in differ)
    matrices = {name for name in old if ".layer.1." in name and old[name].ndim > 1}
    assert matrices <= differ


def test_activations_that_are_computed_again_change_no_weight(bench: Bench) -> None:
    digests = set()
    for keep in (True, False):
        asked = msgspec.structs.replace(ASKED, gradient_checkpointing=not keep)
        bench.run(bench.spec(f"keep-{keep}", hyperparameters=asked))
        path = bench.directory / f"keep-{keep}/version/model.safetensors"
        digests.add(manifest.sha256_of(path))

    assert len(digests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "adafactor", "freeze": ["embeddings"]},
        {"optimizer": "adam", "scheduler": "reduce_on_plateau"},
        {"scheduler": "step", "imbalance": "class_weights_and_sampling"},
        {"rdrop": 2.0, "token_dropout": 0.3, "linear_probe": True},
        {"label_names": True, "train_on_validation": True, "rdrop": 1.0},
        {"reinit_top_layers": 1, "layerwise_lr_decay": 0.5, "gradient_checkpointing": True},
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(bench: Bench, fields: dict) -> None:
    asked = msgspec.structs.replace(ASKED, early_stopping=None, **fields)

    versions = bench.run_whole_and_resumed(hyperparameters=asked)

    assert len({manifest.sha256_of(each / "model.safetensors") for each in versions}) == 1
