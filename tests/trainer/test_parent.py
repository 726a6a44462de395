"""A version as the base model: rows of its head by label, its own score at step 0, its lineage."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.trainer.test_forecast import forecast_of
from tests.trainer.tiny_model import LABELS, Bench, of_kind, write_pairs

from tunery.types import Hyperparameters, Lora
from tunery_trainer.adapt import take_head
from tunery_trainer.base_facts import BaseFacts
from tunery_trainer.model import Classifier, load_classifier, new_classifier
from tunery_trainer.model_files import read_facts
from tunery_trainer.parent import Parent, parent_of
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    Finetuned,
    HyperparametersResolved,
    MetricLogged,
    WeightsTaken,
)
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.tasks import Fit, task_named
from tunery_trainer.tasks.regression import Regression

TEXTS = torch.tensor([[2, 4, 7, 3], [2, 5, 8, 3], [2, 6, 9, 3]])
ASKED = Hyperparameters(epochs=3, learning_rate=5e-3, freeze=(), refit=False)


def fine_tuned(bench: Bench, work: str = "first", **changes: object) -> Path:
    """Return the version that a fine-tune of the tiny base model leaves."""
    bench.run(bench.spec(work, **changes))
    return bench.directory / work / "version"


def of_version(version: Path, **changes: object) -> dict[str, object]:
    """Return what a spec says that begins with a version."""
    digest = manifest.sha256_of(version / manifest.NAME)
    return {
        "base_model": "tiny/1",
        "base_model_dir": str(version),
        "parent_sha256": digest,
        **changes,
    }


def write_regression(path: Path, count: int, *, scale: float, shift: float) -> Path:
    """Write rows whose number says which word they hold, in a unit of their own."""
    numbers = [float(LABELS.index(LABELS[i % 3])) * scale + shift for i in range(count)]
    columns = {
        "line": list(range(2, count + 2)),
        "text": [f"my {LABELS[i % 3]}" for i in range(count)],
        "label": [f"{number:g}" for number in numbers],
    }
    pq.write_table(pa.table(columns), path)
    return path


def begun(parent: Parent, labels: list[str], task: str = "text_classification") -> Classifier:
    """Return a new classifier that has taken its parent's head."""
    made = new_classifier(
        parent.model_dir, BaseFacts(parent.model_dir), task_named(task), labels, 0.0
    )
    take_head(made, parent, Fit())
    return made.eval()


def logits_of(classifier: Classifier) -> np.ndarray:
    with torch.inference_mode():
        return classifier(TEXTS, torch.ones_like(TEXTS)).numpy()


def zero_of(events: list[AnyEvent]) -> dict:
    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]
    return zero.values


def test_rows_of_the_head_are_kept_by_label(bench: Bench) -> None:
    version = fine_tuned(bench)
    labels = ["refund", "rate", "card"]
    parent = parent_of(
        version, task="text_classification", labels=labels, pairs=False, new_head=False
    )

    before, after = logits_of(load_classifier(version)), logits_of(begun(parent, labels))

    assert parent.rows == [None, 2, 0]
    assert (parent.new, parent.dropped, parent.kept) == (["refund"], ["loan"], 2)
    np.testing.assert_allclose(after[:, 1:], before[:, [2, 0]], atol=1e-6)
    np.testing.assert_allclose(after[:, 0], before[:, [2, 0]].mean(axis=1), atol=1e-6)
    assert parent.story == (
        "kept: the encoder and 2 of 3 rows of the head; new: 'refund'; dropped: 'loan'"
    )


@pytest.mark.parametrize(
    "otherwise", [{"task": "multi_label"}, {"pairs": True}, {"new_head": True}, {"labels": ["a"]}]
)
def test_the_encoder_alone_is_taken_where_the_head_answers_something_else(
    bench: Bench, otherwise: dict
) -> None:
    version = fine_tuned(bench, hyperparameters=Hyperparameters(max_steps=1))
    asked = {"task": "text_classification", "labels": LABELS, "pairs": False, "new_head": False}

    parent = parent_of(version, **(asked | otherwise))

    assert parent.kept == 0
    assert parent.new == otherwise.get("labels", LABELS)
    assert parent.dropped == LABELS


def test_a_number_keeps_its_size_in_another_unit(bench: Bench) -> None:
    write_regression(bench.train, 60, scale=500.0, shift=1000.0)
    write_regression(bench.validation, 21, scale=500.0, shift=1000.0)
    numbers = {"task": "regression", "labels": []}
    version = fine_tuned(bench, **numbers)
    parent = parent_of(version, task="regression", labels=[], pairs=False, new_head=False)
    fit = Fit(mean=-3.0, deviation=7.0)

    made = new_classifier(version, BaseFacts(version), Regression(fit), [], 0.0)
    take_head(made, parent, fit)

    own = read_facts(version).fit
    expected = logits_of(load_classifier(version)) * own.deviation + own.mean
    found = logits_of(made.eval()) * fit.deviation + fit.mean
    assert parent.rows == [0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_step_0_is_the_score_of_the_version_itself(bench: Bench) -> None:
    saved = of_kind(bench.run(bench.spec("first")), CheckpointSaved)
    own = [event.metrics for event in saved if event.best][-1]
    version = bench.directory / "first/version"

    events = bench.run(bench.spec("second", **of_version(version, labels=[*LABELS, "refund"])))

    assert own["accuracy"] > 0.9
    assert zero_of(events)["accuracy"] == pytest.approx(own["accuracy"])


def test_a_run_says_what_it_has_taken_and_its_manifest_does(bench: Bench) -> None:
    version = fine_tuned(bench)
    labels = [*LABELS, "refund"]

    events = bench.run(bench.spec("second", **of_version(version, labels=labels)))

    [taken] = of_kind(events, WeightsTaken)
    assert (taken.kept, taken.new, taken.dropped) == (3, 1, 0)
    assert taken.message == (
        "tiny/1: kept: the encoder and 3 of 3 rows of the head; new: 'refund'; dropped: none"
    )
    facts = manifest.read(bench.directory / "second/version").facts
    assert facts["base_model"] == "tiny/1"
    assert facts["parent_manifest_sha256"] == manifest.sha256_of(version / manifest.NAME)
    counts = {name: facts[f"head_rows_{name}"] for name in ("kept", "new", "dropped")}
    assert counts == {"kept": 3, "new": 1, "dropped": 0}
    assert read_facts(bench.directory / "second/version").labels == labels


def test_a_label_that_the_version_does_not_know_is_learned(bench: Bench) -> None:
    """The version has read two of the three words."""
    rows = pq.read_table(bench.train)
    few = rows.filter(pa.compute.not_equal(rows["label"], "rate"))
    pq.write_table(few, bench.directory / "few.parquet")
    held = pq.read_table(bench.validation)
    pq.write_table(
        held.filter(pa.compute.not_equal(held["label"], "rate")), bench.directory / "held.parquet"
    )
    version = fine_tuned(
        bench,
        labels=LABELS[:2],
        train=str(bench.directory / "few.parquet"),
        validation=str(bench.directory / "held.parquet"),
        cache_dir=str(bench.directory / "first-cache"),
    )

    events = bench.run(bench.spec("second", **of_version(version)))

    assert zero_of(events)["accuracy"] == pytest.approx(2 / 3)  # all but the 7 of 21 rows of `rate`
    assert max(event.metrics["accuracy"] for event in of_kind(events, CheckpointSaved)) > 0.9


@pytest.mark.parametrize("peft", [None, Lora(r=4)])
def test_a_resumed_run_ends_with_the_same_weights(bench: Bench, peft: Lora | None) -> None:
    version = fine_tuned(bench)
    asked = msgspec.structs.replace(ASKED, peft=peft, early_stopping=None)
    labels = ["loan", "rate", "card", "refund"]

    versions = bench.run_whole_and_resumed(
        **of_version(version, labels=labels, hyperparameters=asked)
    )

    for name in ("model.safetensors", "3_Dense/model.safetensors"):
        assert len({manifest.sha256_of(each / name) for each in versions}) == 1


def test_a_version_of_single_texts_gives_its_encoder_to_pairs(bench: Bench) -> None:
    version = fine_tuned(bench)
    write_pairs(bench.train, 60)
    write_pairs(bench.validation, 12)
    asked = msgspec.structs.replace(ASKED, epochs=1)

    events = bench.run(
        bench.spec(
            "second",
            dataset_fingerprint="sha256:2",
            **of_version(version, labels=["different", "same"], hyperparameters=asked),
        )
    )

    [taken] = of_kind(events, WeightsTaken)
    assert (taken.kept, taken.new, taken.dropped) == (0, 2, 3)
    assert isinstance(events[-1], Finetuned)


def test_rules_know_what_the_version_gives_and_a_forecast_says_the_same(bench: Bench) -> None:
    version = fine_tuned(bench, hyperparameters=Hyperparameters(max_steps=1, max_length=32))
    asked = Hyperparameters(max_steps=2)
    spec: FinetuneRun = bench.spec(
        "second", **of_version(version, hyperparameters=asked, recipe="fast")
    )

    said = forecast_of(spec, version_dir=str(version))

    [found] = of_kind(bench.run(spec), HyperparametersResolved)
    assert said.resolved == found.resolved
    told = {
        name: (found.resolved[name].value, found.resolved[name].source)
        for name in ("max_length", "linear_probe", "head_learning_rate")
    }
    assert told == {
        "max_length": (32, "auto:version"),
        "linear_probe": (False, "auto:head-kept"),
        "head_learning_rate": (found.resolved["learning_rate"].value, "auto:head-kept"),
    }
