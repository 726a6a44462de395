"""The recipe on a GPU: precisions, what serves its versions, a resumed run, a full memory."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.trainer.tiny_model import Bench, of_kind

from tunery.types import Hyperparameters
from tunery_trainer.failure import Failure
from tunery_trainer.protocol.events import CheckpointSaved, Finetuned, HyperparametersResolved
from tunery_trainer.runtimes.torch import TorchRuntime

pytestmark = pytest.mark.cuda
GPU = "cuda:0"
IDS = [[2, 7, 4, 3], [2, 3], [2, *[5, 9, 12] * 9, 3]]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_each_precision_learns_and_leaves_a_version(bench: Bench, precision: str) -> None:
    asked = Hyperparameters(epochs=6, learning_rate=1e-2, precision=precision)

    events = bench.run(bench.spec(device=GPU, hyperparameters=asked))

    [done] = of_kind(events, Finetuned)
    assert done.parity is not None
    assert done.parity.labels_changed == 0
    best = max(event.metrics["accuracy"] for event in of_kind(events, CheckpointSaved))
    assert best > 0.9


def test_auto_is_bf16_where_the_gpu_has_it(bench: Bench) -> None:
    events = bench.run(bench.spec(device=GPU))

    [resolved] = of_kind(events, HyperparametersResolved)
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    assert resolved.resolved["precision"].value == expected


def test_both_devices_answer_alike(bench: Bench) -> None:
    bench.run(bench.spec(device=GPU))
    version = bench.directory / "work/version"

    answers = [TorchRuntime(version, device=each, threads=1).logits(IDS) for each in (GPU, "cpu")]

    np.testing.assert_allclose(*answers, atol=1e-3)


def test_a_resumed_run_ends_where_the_whole_one_does(bench: Bench) -> None:
    asked = Hyperparameters(
        epochs=3, learning_rate=1e-2, rdrop=1.0, token_dropout=0.2, early_stopping=None
    )

    versions = bench.run_whole_and_resumed(device=GPU, hyperparameters=asked)

    whole, resumed = (load_file(each / "model.safetensors") for each in versions)
    # The masks are the same ones; sums of a GPU's threads may come in another order.
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, atol=1e-3, rtol=1e-2)


def test_a_full_memory_is_named(bench: Bench) -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    taken = torch.empty(int(total * 0.97), dtype=torch.uint8, device=GPU)
    asked = Hyperparameters(batch_size=90, max_length=64, gradient_accumulation_steps=1)
    try:
        torch.cuda.set_per_process_memory_fraction(0.97)
        with pytest.raises(Failure) as raised:
            bench.run(bench.spec(device=GPU, hyperparameters=asked))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        del taken
        torch.cuda.empty_cache()

    assert raised.value.code == "out-of-memory"
