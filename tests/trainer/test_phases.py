"""Several trainings in one run: seeds, the refit on all rows, and a resume within them."""

import shutil
from pathlib import Path

import msgspec
import pytest
from tests.trainer.tiny_model import Bench, of_kind

from tunery.types import Checkpoints, EarlyStopping, Hyperparameters
from tunery_trainer.phases import median_of
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    Finetuned,
    HyperparametersResolved,
    MetricLogged,
    ProgressMade,
)
from tunery_trainer.state import Outcome, TrainingState

SHORT = Hyperparameters(epochs=2, learning_rate=5e-3, freeze=(), refit=True)


def phases_of(events: list[AnyEvent]) -> set[str]:
    return {event.progress.phase for event in of_kind(events, ProgressMade)}


def outcome(phase: int, value: float) -> Outcome:
    return Outcome(phase=phase, best_value=value, best_share=1.0, stop_reason=None)


@pytest.mark.parametrize(
    ("values", "phase"), [([0.5], 0), ([0.9, 0.1, 0.5], 2), ([0.3, 0.2], 1), ([0.1] * 3, 1)]
)
def test_the_median_is_chosen(values: list[float], phase: int) -> None:
    assert median_of([outcome(i, value) for i, value in enumerate(values)]).phase == phase


def test_a_refit_trains_on_all_rows_where_validation_was_best(bench: Bench) -> None:
    events = bench.run(bench.spec(hyperparameters=SHORT))

    # 90 rows in batches of 16 are 6 steps an epoch; with the 21 of validation they are 7.
    saved = of_kind(events, CheckpointSaved)
    best = max(saved[:2], key=lambda each: each.metrics["macro_f1"])
    first = {6: 7, 12: 14}[best.step]
    [done] = of_kind(events, Finetuned)
    assert done.best_step == 12 + first
    assert saved[-1].step == 12 + first
    assert saved[-1].best
    assert all(not each.metrics for each in saved[2:])
    assert {"training", "refitting"} <= phases_of(events)
    losses = [each.step for each in of_kind(events, MetricLogged) if "loss" in each.values]
    assert losses == list(range(1, done.best_step + 1))


def test_a_run_that_dies_in_its_refit_ends_alike(bench: Bench) -> None:
    changes = {"hyperparameters": SHORT, "checkpoints": Checkpoints(every=5)}
    events = bench.run(bench.spec("whole", **changes))
    [resolved] = of_kind(events, HyperparametersResolved)

    for saved in of_kind(events, CheckpointSaved)[2:5]:  # before its first step, and amid it
        kept = bench.directory / f"kept-{saved.step}"
        died = bench.run(
            bench.spec("died", **changes),
            release=lambda seen, at=saved.step: any(
                each.step == at for each in of_kind(seen, CheckpointSaved)
            ),
        )
        shutil.move(bench.directory / "died" / of_kind(died, CheckpointSaved)[-1].path, kept)
        again = {"attempt": 2, "resume_from": str(kept), "resolved": resolved.resolved}
        bench.run(bench.spec(f"resumed-{saved.step}", **changes, **again))
        for name in ("model.safetensors", "3_Dense/model.safetensors"):
            versions = [f"resumed-{saved.step}", "whole"]
            one, other = (
                manifest.sha256_of(bench.directory / work / "version" / name) for work in versions
            )
            assert one == other


def test_of_three_seeds_the_median_trains_again(bench: Bench) -> None:
    asked = msgspec.structs.replace(SHORT, epochs=1, seeds=3, refit=False)

    events = bench.run(bench.spec("three", hyperparameters=asked))

    saved = of_kind(events, CheckpointSaved)
    assert [each.step for each in saved] == [6, 12, 18, 24]
    values = [each.metrics["macro_f1"] for each in saved[:3]]
    chosen = median_of([outcome(i, value) for i, value in enumerate(values)]).phase
    bench.run(
        bench.spec("one", hyperparameters=msgspec.structs.replace(asked, seeds=1, seed=42 + chosen))
    )
    three, one = (
        manifest.sha256_of(bench.directory / work / "version/model.safetensors")
        for work in ("three", "one")
    )
    assert three == one


def test_a_refit_that_time_cuts_short_keeps_what_validation_chose(bench: Bench) -> None:
    stopped = Hyperparameters(
        epochs=400,
        learning_rate=5e-3,
        freeze=(),
        refit=True,
        max_minutes=0.1,
        early_stopping=EarlyStopping(metric="loss", patience=100),
    )
    events = bench.run(bench.spec("first", hyperparameters=stopped))
    assert of_kind(events, Finetuned)[0].stop_reason == "time-budget"
    assert of_kind(events, Finetuned)[0].best_step == max(
        each.step for each in of_kind(events, CheckpointSaved) if each.best
    )
    assert Path(bench.directory / "first/version/model.safetensors").is_file()


def test_a_phase_that_ends_leaves_its_outcome_and_begins_the_next_clean() -> None:
    state = TrainingState(
        step=40,
        phase_best_step=30,
        phase_best_value=0.7,
        best_step=30,
        best_value=0.7,
        stale_validations=1,
        reductions=2,
        stop_reason="early-stopping",
    )

    state.next_phase(total_steps=60)

    assert state == TrainingState(
        step=40,
        phase=1,
        phase_began=40,
        best_step=30,
        best_value=0.7,
        outcomes=[Outcome(phase=0, best_value=0.7, best_share=0.5, stop_reason="early-stopping")],
    )
