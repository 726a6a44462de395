"""A rehearsal: all parts of a fine-tune on few rows, and nothing to publish."""

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tests.trainer.tiny_model import LABELS, Bench, of_kind

from tunery_trainer import dry_run
from tunery_trainer.failure import Failure
from tunery_trainer.preparation import prepare
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    DryRan,
    Finetuned,
    HyperparametersResolved,
    Interrupted,
)


def rehearsed(bench: Bench, *, released: bool = False) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    dry_run.run(bench.spec(dry_run=True), events.append, lambda: released and len(events) > 3)
    return events


def test_a_dry_run_goes_through_all_and_publishes_nothing(bench: Bench) -> None:
    events = rehearsed(bench)

    assert not of_kind(events, CheckpointSaved)
    assert not of_kind(events, Finetuned)
    [done] = of_kind(events, DryRan)
    assert events[-1] == done
    report = done.report
    assert (report.steps, report.runtime) == (20, "openvino")
    assert report.parity is not None
    assert report.parity.labels_changed == 0
    assert report.last_loss < report.first_loss
    assert report.checkpoint_bytes > report.version_bytes / 2 > 1000
    assert report.peak_memory_bytes > 50 << 20


def test_what_it_resolves_is_what_the_fine_tune_would(bench: Bench) -> None:
    [real] = of_kind(bench.run(bench.spec("real")), HyperparametersResolved)

    [dry] = of_kind(rehearsed(bench), HyperparametersResolved)

    assert dry.resolved == real.resolved


def test_two_rows_of_each_class_are_enough(bench: Bench) -> None:
    prepared = prepare(bench.spec(dry_run=True), lambda: None)

    assert np.bincount(prepared.train.labels).tolist() == [2] * len(LABELS)
    assert np.bincount(prepared.validation.labels).tolist() == [2] * len(LABELS)


def test_what_a_fine_tune_would_fail_of_fails_it(bench: Bench) -> None:
    weights = load_file(bench.base / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = float("nan")
    save_file(weights, bench.base / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(Failure, match="non-finite-loss"):
        rehearsed(bench)


def test_a_leash_that_is_let_go_ends_it(bench: Bench) -> None:
    assert isinstance(rehearsed(bench, released=True)[-1], Interrupted)
