"""The export of encoders that are built unlike BERT: packed where that answers right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.trainer.tiny_model import LABELS, write_base
from transformers import (
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
)

from tunery_trainer import export
from tunery_trainer.model import Classifier, load_classifier, save_classifier
from tunery_trainer.model_files import ModelFacts
from tunery_trainer.parity import passes
from tunery_trainer.protocol.serving import OPENVINO_MODEL
from tunery_trainer.runtimes import load
from tunery_trainer.tasks.texts import linear_head

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
IDS = [[2, *range(5, 5 + n), 3] for n in (3, 20, 1, 9, 30, 4, 4, 12, 7)]


def distilbert() -> Any:
    return DistilBertModel(
        DistilBertConfig(vocab_size=40, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    )


def roberta() -> Any:
    return RobertaModel(RobertaConfig(**SIZES, pad_token_id=1), add_pooling_layer=False)


def mpnet() -> Any:
    """Relative positions: it can't know that a row holds several texts."""
    return MPNetModel(MPNetConfig(**SIZES, pad_token_id=1), add_pooling_layer=False)


def saved(directory: Path, encoder: Any) -> Path:
    """Write a classifier of random weights, large enough to show every difference."""
    torch.manual_seed(0)
    for parameter in encoder.parameters():
        if parameter.dim() > 1:
            parameter.data = torch.randn_like(parameter) * 0.3
    classifier = Classifier(encoder, linear_head(32, len(LABELS), 0.0))
    classifier.head[1].weight.data = torch.randn_like(classifier.head[1].weight)
    facts = ModelFacts(task="text_classification", labels=LABELS, max_length=64, base_model="tiny")
    directory.mkdir()
    base = write_base(directory.parent / "base")
    save_classifier(classifier, encoder, directory, facts=facts, tokenizer_from=base)
    return directory


@pytest.mark.parametrize(
    ("architecture", "packs"), [(distilbert, True), (roberta, True), (mpnet, False)]
)
def test_packed_where_the_encoder_can_be_told(
    tmp_path: Path, architecture: Any, packs: bool
) -> None:
    directory = saved(tmp_path / "version", architecture())

    parity = export.add_export(directory, IDS, threads=1, alive=lambda: None)

    assert parity is not None
    assert passes(parity)
    assert ("segments" in (directory / OPENVINO_MODEL).read_text()) == packs
    classifier = load_classifier(directory)
    alone = [classifier(torch.tensor([ids]), torch.ones(1, len(ids))) for ids in IDS]
    expected = torch.cat(alone).detach().numpy()
    found = load(directory, "openvino", device="cpu", threads=1).logits(IDS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_can_not_be_traced_serves_through_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = saved(tmp_path / "version", roberta())

    def fail(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(export, "_write", fail)

    assert export.add_export(directory, IDS, threads=1, alive=lambda: None) is None
    assert not (directory / OPENVINO_MODEL).exists()
    assert load(directory, "auto", device="cpu", threads=1).name == "torch"
