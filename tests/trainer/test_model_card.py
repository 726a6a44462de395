"""The card says what is known, and its five lines are Python."""

import ast
import json

import pytest
from tests.trainer.tiny_model import Bench

from tunery.types import Hyperparameters
from tunery_trainer.model_card import model_card
from tunery_trainer.model_files import ModelFacts


def code_of(card: str) -> list[str]:
    return card.split("```python\n")[1].split("```")[0].splitlines()


@pytest.mark.parametrize("task", ["text_classification", "multi_label", "regression"])
@pytest.mark.parametrize("pairs", [False, True])
def test_five_lines_load_the_model(task, pairs: bool) -> None:
    labels = [] if task == "regression" else ["a", "b"]
    facts = ModelFacts(task=task, labels=labels, max_length=8, base_model="tiny", pairs=pairs)

    code = code_of(model_card(facts, {}))

    assert len(code) == 5
    ast.parse("\n".join(code))
    assert ("and its pair" in code[3]) == pairs


def test_many_labels_are_counted() -> None:
    facts = ModelFacts(
        task="text_classification",
        labels=[f"label_{i}" for i in range(77)],
        max_length=8,
        base_model="tiny",
    )

    assert "`label_19` and 57 more." in model_card(facts, {})


def test_a_checkpoint_says_what_validation_said(bench: Bench) -> None:
    bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=6)))

    checkpoint = bench.directory / "work/checkpoints/step-6"
    card = (checkpoint / "README.md").read_text()
    figures = json.loads((checkpoint / "manifest.json").read_bytes())["facts"]
    assert f"- accuracy: {figures['accuracy']:.4f}" in card
    assert "- loss: " in card
    assert "hyperparameters" not in card
    assert json.loads(figures["hyperparameters.early_stopping"])["patience"] == 3
    assert (bench.directory / "work/version/README.md").is_file()
