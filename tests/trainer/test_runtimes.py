"""Runtimes against an independent computation, the model directory, and what must not be loaded."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.trainer.tiny_model import Bench, of_kind
from transformers import BertModel

from tunery.types import Hyperparameters
from tunery_trainer.failure import Refusal
from tunery_trainer.model_files import read_canary, read_facts
from tunery_trainer.parity import compare, passes
from tunery_trainer.protocol.events import CheckpointSaved, Finetuned
from tunery_trainer.runtimes import load
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.tasks.texts import TextEncoder

IDS = [[2, 7, 4, 3], [2, 3], [2, *[5, 9, 12] * 9, 3], [2, 8, 6, 10, 11, 4, 5, 6, 3]]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a version after four steps."""
    bench = Bench(tmp_path_factory.mktemp("runtimes"))
    bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=4, learning_rate=5e-3)))
    return bench.directory / "work/version"


def reference(version: Path) -> np.ndarray:
    """Compute one text at a time, without padding or mask: mean, length one, linear layer."""
    encoder = BertModel.from_pretrained(version, add_pooling_layer=False).eval()
    head = load_file(version / "3_Dense/model.safetensors")
    answers = []
    with torch.no_grad():
        for ids in IDS:
            mean = encoder(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)  # (H,)
            answers.append(head["linear.weight"] @ (mean / mean.norm()) + head["linear.bias"])
    return torch.stack(answers).numpy()


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_logits_are_those_of_each_text_alone(version: Path, name: str) -> None:
    """Within 1e-5: padding changes the order of sums, not what is summed."""
    runtime = load(version, name, device="cpu", threads=1)

    logits = runtime.logits(IDS)

    assert runtime.name == name
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, reference(version), atol=1e-5)
    np.testing.assert_allclose(runtime.logits(IDS[::-1])[::-1], logits, atol=1e-5)


def test_canary_holds_torchs_answers(version: Path) -> None:
    canary, facts = read_canary(version), read_facts(version)
    ids = TextEncoder(version / "tokenizer.json", facts.max_length)(canary.texts).ids

    logits = load(version, "auto", device="cpu", threads=1).logits(ids)

    assert len(canary.texts) == 8
    np.testing.assert_allclose(logits, np.array(canary.logits), atol=1e-5)


def test_version_holds_what_its_readers_need(version: Path) -> None:
    found = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}

    assert found == {
        "1_Pooling/config.json",
        "3_Dense/config.json",
        "3_Dense/model.safetensors",
        "README.md",
        "canary.json",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "modules.json",
        "openvino/model.bin",
        "openvino/model.xml",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tunery.json",
    }


def test_checkpoint_serves_through_torch(bench: Bench) -> None:
    events = bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=1)))
    directory = bench.directory / "work" / of_kind(events, CheckpointSaved)[0].path

    runtime = load(directory, "auto", device="cpu", threads=1)

    assert runtime.name == "torch"
    assert {path.name for path in (directory / "resume").iterdir()} == {
        "state.json",
        "state.safetensors",
    }


def test_export_that_answers_otherwise_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunery_trainer.parity.LARGEST_DIFFERENCE", -1.0)

    events = bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=1)))

    assert of_kind(events, Finetuned)[0].parity is None
    assert [event.code for event in events if hasattr(event, "code")] == ["parity-failed"]
    assert not (bench.directory / "work/version/openvino").exists()


def test_difference_is_of_probabilities() -> None:
    expected = np.log(np.array([[0.5, 0.25, 0.25], [0.6, 0.2, 0.2]], dtype=np.float32))
    found = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]], dtype=np.float32))

    parity = compare(TextClassification(), expected, found)

    assert (parity.rows, parity.labels_changed) == (2, 1)
    assert parity.largest_difference == pytest.approx(0.4)
    assert not passes(parity)
    assert not passes(compare(TextClassification(), expected, np.full_like(expected, np.nan)))


def test_openvino_needs_no_torch_and_calls_nobody(version: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys, pathlib; from tunery_trainer.runtimes import load;"
        f"r = load(pathlib.Path({str(version)!r}), 'auto', device='cpu', threads=1);"
        "assert r.logits([[2, 4, 3]]).shape == (1, 3);"
        "bad = {'torch', 'transformers', 'sklearn', 'openvino_telemetry'} & set(sys.modules);"
        "assert not bad, bad"
    )

    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, env=os.environ | {"HOME": str(home)}
    )

    assert not list(home.iterdir())


@pytest.mark.slow
def test_sentence_transformers_reads_a_version(version: Path) -> None:
    """The layout is theirs: encoder, mean, a dense layer without activation."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    canary = read_canary(version)

    model = sentence_transformers.SentenceTransformer(str(version), device="cpu")

    found = model.encode(canary.texts)
    np.testing.assert_allclose(found, np.array(canary.logits), atol=1e-5)


@pytest.mark.skipif(
    torch.cpu.get_capabilities().get("avx512_bf16", False), reason="this CPU has bf16"
)
@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_precision_that_the_device_lacks_is_refused(version: Path, name: str) -> None:
    with pytest.raises(Refusal, match="no bf16") as caught:
        load(version, name, device="cpu", threads=1, precision="bf16")

    assert caught.value.code == "unsupported-precision"


def test_int8_answers_nearly_alike_and_with_rounded_weights(version: Path) -> None:
    runtime = load(version, "openvino", device="cpu", threads=1, precision="int8")

    exact, rounded = reference(version), runtime.logits(IDS)

    assert runtime.precision == "int8"
    np.testing.assert_allclose(rounded, exact, atol=0.2)
    assert np.abs(rounded - exact).max() > 1e-4


def test_int8_is_refused_where_nothing_is_compiled(version: Path) -> None:
    with pytest.raises(Refusal, match="int8 is what the compiled") as caught:
        load(version, "torch", device="cpu", threads=1, precision="int8")

    assert caught.value.code == "unsupported-precision"


@pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx512_bf16", False), reason="this CPU has no bf16"
)
@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bf16_answers_nearly_alike(version: Path, name: str) -> None:
    runtime = load(version, name, device="cpu", threads=1, precision="bf16")

    assert runtime.precision == "bf16"
    np.testing.assert_allclose(runtime.logits(IDS), reference(version), atol=0.5)
