"""Pairs in training and serving: cut as the tokenizer cuts, types told apart, the same exported."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tests.trainer.tiny_model import Bench, of_kind, write_base, write_pairs
from tokenizers import Tokenizer
from transformers import BertModel

from tunery.types import Hyperparameters, TextPair
from tunery_trainer.data import TokenCache
from tunery_trainer.engine import _texts_of
from tunery_trainer.evaluate import program
from tunery_trainer.failure import Failure, Refusal
from tunery_trainer.model import load_classifier
from tunery_trainer.model_files import read_canary, read_facts
from tunery_trainer.protocol import wire
from tunery_trainer.protocol.events import CheckpointSaved, Evaluated, Finetuned
from tunery_trainer.runtimes import load
from tunery_trainer.tasks.texts import TextEncoder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list]:
    bench = Bench(tmp_path_factory.mktemp("pairs"))
    write_pairs(bench.train, 192)
    write_pairs(bench.validation, 48)
    asked = Hyperparameters(epochs=8, learning_rate=5e-3, freeze=(), early_stopping=None)
    spec = bench.spec(labels=["different", "same"], hyperparameters=asked)
    return bench, bench.run(spec)


@pytest.mark.parametrize(("words", "others"), [(2, 9), (9, 2), (6, 7), (7, 6), (20, 20)])
def test_rows_are_cut_late_as_the_tokenizer_cuts_them(
    tmp_path: Path, words: int, others: int
) -> None:
    base = write_base(tmp_path / "base")
    file = base / "tokenizer.json"
    cache = TokenCache(
        tmp_path / "cache",
        encoder=TextEncoder(file, 64),
        tokenizer_file=file,
        positions=64,
        dataset_fingerprint="sha256:1",
        targets=lambda cells: np.zeros(len(cells), np.int64),
        pairs=True,
    )
    pair = " ".join(["card", "loan"] * 10)[: 5 * words - 1], " ".join(["now"] * others)
    rows = cache.texts([pair], ["x"])

    for length in range(4, 50):
        assert rows.ids([0], length) == TextEncoder(file, length)([pair]).ids


def test_a_pair_is_learned_that_neither_text_tells_alone(trained: tuple[Bench, list]) -> None:
    _, events = trained

    best = max(each.metrics["accuracy"] for each in of_kind(events, CheckpointSaved))

    assert best > 0.8  # of a half by chance


def test_token_types_are_those_of_the_tokenizer(trained: tuple[Bench, list]) -> None:
    bench, _ = trained
    version = bench.directory / "work/version"
    classifier = load_classifier(version)
    tokenizer = Tokenizer.from_file(str(version / "tokenizer.json"))
    tokenizer.no_padding()
    encoding = tokenizer.encode("my card", "the loan now")
    encoder = BertModel.from_pretrained(version, add_pooling_layer=False).eval()
    ids = torch.tensor([encoding.ids])

    with torch.inference_mode():
        states = encoder(ids, token_type_ids=torch.tensor([encoding.type_ids])).last_hidden_state
        pooled = classifier.pooled(ids, torch.ones_like(ids))

    mean = torch.nn.functional.normalize(states.mean(1), dim=-1) * classifier.length
    assert encoding.type_ids == [0, 0, 0, 0, 1, 1, 1, 1]
    torch.testing.assert_close(pooled, mean, atol=1e-5, rtol=0)  # fp32, another order of sums


def test_export_answers_as_torch_does(trained: tuple[Bench, list]) -> None:
    bench, events = trained
    [done] = of_kind(events, Finetuned)
    version = bench.directory / "work/version"
    texts = [("my card", "card now"), ("the loan please", "rate"), ("card " * 30, "loan " * 40)]
    ids = TextEncoder(version / "tokenizer.json", 48)(texts).ids

    logits = [load(version, name, device="cpu", threads=1).logits(ids)
              for name in ("torch", "openvino")]  # fmt: skip

    assert done.parity is not None
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)  # fp32 on both sides


def test_version_knows_that_it_reads_pairs(trained: tuple[Bench, list]) -> None:
    bench, _ = trained
    version = bench.directory / "work/version"

    assert read_facts(version).pairs
    assert read_canary(version).texts[0] == ("my card", "card my")


def test_rows_of_the_other_kind_are_not_evaluated(trained: tuple[Bench, list]) -> None:
    bench, events = trained
    [done] = of_kind(events, Finetuned)
    spec = bench.evaluation(done)
    other = msgspec.structs.replace(spec, rows=str(Bench(bench.directory / "single").validation))
    said: list = []

    program.run(spec, said.append, lambda: False)
    with pytest.raises(Failure, match="reads pairs, the rows are single texts") as raised:
        program.run(other, said.append, lambda: False)

    [evaluated] = of_kind(said, Evaluated)
    assert evaluated.rows == 48
    assert raised.value.code == "pair-mismatch"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (True, "inputs[1] is a single text; the model reads pairs"),
        (False, "inputs[0] is a pair; the model reads single texts"),
    ],
)
def test_input_of_the_other_kind_is_refused(pairs: bool, message: str) -> None:
    inputs = [TextPair(text="a", text_pair="b"), "c"]

    with pytest.raises(Refusal) as raised:
        _texts_of(wire.Predict(id=1, inputs=inputs, top_k=1, truncate=True, timeout_ms=1), pairs)

    assert (raised.value.code, raised.value.message) == ("pair-mismatch", message)
