"""LoRA: adapters learn beside frozen weights, and what is saved is a plain model."""

import pytest
import torch
from safetensors.torch import load_file
from tests.trainer.tiny_model import LABELS, Bench, of_kind

from tunery.types import Hyperparameters, Lora
from tunery_trainer.adapters import add_adapters, merged
from tunery_trainer.model import BaseFacts, new_classifier
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import CheckpointSaved, Finetuned, HyperparametersResolved
from tunery_trainer.tasks import task_named

ADAPTED = Hyperparameters(epochs=3, learning_rate=1e-2, peft=Lora(r=8), refit=False)


def test_adapters_learn_and_the_version_has_plain_layers(bench: Bench) -> None:
    events = bench.run(bench.spec(hyperparameters=ADAPTED))

    saved = of_kind(events, CheckpointSaved)
    assert max(event.metrics["accuracy"] for event in saved) > 0.9
    [done] = of_kind(events, Finetuned)
    assert done.parity is not None
    assert done.parity.largest_difference < 1e-5
    version = load_file(bench.directory / "work/version/model.safetensors")
    base = load_file(bench.base / "model.safetensors")
    assert set(version) == set(base)
    changed = {name for name, weight in base.items() if not torch.equal(weight, version[name])}
    assert changed == {
        name
        for name in base
        if name.endswith("weight") and "encoder" in name and "Norm" not in name
    }


def test_adapters_of_attention_leave_the_rest_alone(bench: Bench) -> None:
    asked = Hyperparameters(max_steps=3, peft=Lora(targets="attention"))

    bench.run(bench.spec(hyperparameters=asked))

    version = load_file(bench.directory / "work/version/model.safetensors")
    base = load_file(bench.base / "model.safetensors")
    changed = {name for name, weight in base.items() if not torch.equal(weight, version[name])}
    assert {name.split(".")[-2] for name in changed} == {"query", "key", "value"}


def test_a_resumed_run_with_adapters_ends_alike(bench: Bench) -> None:
    whole, resumed = bench.run_whole_and_resumed(hyperparameters=ADAPTED)

    for name in ("model.safetensors", "3_Dense/model.safetensors"):
        assert manifest.sha256_of(whole / name) == manifest.sha256_of(resumed / name)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_merged_weights_answer_as_the_adapters_did(bench: Bench, scale: float) -> None:
    task = task_named("text_classification")
    classifier = new_classifier(bench.base, BaseFacts(bench.base), task, LABELS, 0.0).eval()
    ids, mask = torch.tensor([[2, 4, 8, 3]]), torch.ones(1, 4, dtype=torch.int64)
    plain = classifier.pooled(ids, mask)
    add_adapters(classifier, Lora(r=4, dropout=0.0))
    torch.manual_seed(0)
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale)
    adapted = classifier.eval().pooled(ids, mask)

    classifier.encoder = merged(classifier.encoder)

    torch.testing.assert_close(classifier.pooled(ids, mask), adapted, rtol=1e-4, atol=1e-4)
    assert torch.allclose(plain, adapted) == (scale == 0.0)
    assert not any("lora" in name for name, _ in classifier.named_parameters())


def test_adapters_take_ten_times_the_rate(bench: Bench) -> None:
    changes = {"epochs": 1, "learning_rate": "auto"}
    rates = {}
    for name, lora in (("whole", None), ("lora", Lora())):
        asked = Hyperparameters(**changes, peft=lora)
        [event] = of_kind(
            bench.run(bench.spec(name, hyperparameters=asked)), HyperparametersResolved
        )
        rates[name] = event.resolved["learning_rate"]
        assert event.resolved["head_learning_rate"].value == pytest.approx(
            10 * rates["whole"].value
        )

    assert rates["lora"].value == pytest.approx(10 * rates["whole"].value)
    assert rates["lora"].source == "auto:encoder-tiny-lora"
