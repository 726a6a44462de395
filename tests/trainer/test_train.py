"""The recipe on a tiny model: what it says, what it leaves, that a resumed run ends alike."""

import math
import shutil
import time
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from tests.trainer.tiny_model import Bench, of_kind, write_rows

from tunery.types import Checkpoints, EarlyStopping, Hyperparameters, NonFinite
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    Finetuned,
    HyperparametersResolved,
    Interrupted,
    MetricLogged,
    ProgressMade,
)
from tunery_trainer.state import TrainingState


def logged_steps(events: list[AnyEvent]) -> list[int]:
    return [event.step for event in of_kind(events, MetricLogged) if "loss" in event.values]


def release_after(step: int):
    """Let the leash go once a step was reported."""
    return lambda events: any(
        event.progress.step >= step for event in of_kind(events, ProgressMade)
    )


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report every step."""
    monkeypatch.setattr("tunery_trainer.progress.INTERVAL_SECONDS", 0.0)


def test_run_learns_and_leaves_a_version(bench: Bench) -> None:
    events = bench.run(bench.spec())

    [done] = of_kind(events, Finetuned)
    assert events[-1] == done
    assert done.parity is not None
    assert done.parity.rows == 21
    assert done.parity.labels_changed == 0
    assert done.parity.largest_difference < 1e-5
    saved = of_kind(events, CheckpointSaved)
    assert [event.step for event in saved] == [6, 12, 18]
    assert max(event.metrics["accuracy"] for event in saved) > 0.9  # of a third by chance
    assert manifest.verify(Path(bench.spec().work_dir, done.path), done.manifest_sha256)


def test_version_has_the_temperature_of_its_best_weights(bench: Bench) -> None:
    events = bench.run(bench.spec())

    best = max(of_kind(events, CheckpointSaved), key=lambda saved: saved.metrics["macro_f1"])
    facts = read_facts(Path(bench.spec().work_dir, "version"))
    assert facts.fit == read_facts(Path(bench.spec().work_dir, best.path)).fit
    assert facts.fit.temperature != 1.0


def test_first_metric_is_of_the_first_step(bench: Bench) -> None:
    events = bench.run(bench.spec())

    assert logged_steps(events)[0] == 1
    first = of_kind(events, MetricLogged)[0]
    assert first.values["loss"] == pytest.approx(math.log(3), abs=0.1)
    assert set(first.values) == {"loss", "learning_rate", "grad_norm"}


def test_step_0_is_the_untrained_model_and_the_majority(bench: Bench) -> None:
    events = bench.run(bench.spec())

    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]
    assert zero.values["validation_loss"] == pytest.approx(math.log(3), abs=0.1)
    assert zero.values["majority_accuracy"] == pytest.approx(1 / 3)  # 7 of 21 rows
    assert zero.values["majority_macro_f1"] == pytest.approx(0.5 / 3)
    assert zero.values["accuracy"] < 0.7


def test_a_probed_head_begins_with_less_to_learn(bench: Bench) -> None:
    asked = Hyperparameters(epochs=3, learning_rate=5e-3, linear_probe=True)

    events = bench.run(bench.spec(hyperparameters=asked))

    assert of_kind(events, MetricLogged)[0].values["loss"] < 0.8  # of ln 3
    assert "probing" in {each.progress.phase for each in of_kind(events, ProgressMade)}


def test_losses_are_logged_twenty_times_and_at_the_last_step(bench: Bench) -> None:
    events = bench.run(
        bench.spec(hyperparameters=Hyperparameters(max_steps=45, early_stopping=None))
    )

    assert logged_steps(events) == [1, *range(2, 45, 2), 45]


def test_log_tells_the_start_the_validations_and_the_end(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tunery_trainer")

    events = bench.run(bench.spec())

    [done] = of_kind(events, Finetuned)
    lines = caplog.messages
    assert lines[0] == "job_1, attempt 1: tiny on cpu"
    assert "training from step 0 to 18" in lines
    validated = [line for line in lines if line.startswith("validated at step")]
    assert [line.split(":")[0][-2:].strip() for line in validated] == ["6", "12", "18"]
    assert (
        f"accuracy {of_kind(events, CheckpointSaved)[-1].metrics['accuracy']:.4f}" in validated[-1]
    )
    assert lines[-1] == f"exporting the weights of step {done.best_step}"


def test_resumed_run_ends_with_the_same_weights(bench: Bench, talkative: None) -> None:
    uninterrupted = bench.run(bench.spec("whole"))
    digest = manifest.sha256_of(bench.directory / "whole/version/model.safetensors")

    for step in (1, 6, 13):  # in the warm-up, at the end of an epoch, in the middle of one
        work = f"stopped-{step}"
        stopped = bench.run(bench.spec(work), release=release_after(step))
        [resolved] = of_kind(stopped, HyperparametersResolved)
        saved = of_kind(stopped, CheckpointSaved)[-1]
        kept = bench.directory / f"kept-{step}"
        shutil.move(bench.directory / work / saved.path, kept)  # as the supervisor does
        resumed = bench.run(
            bench.spec(
                f"resumed-{step}", attempt=2, resume_from=str(kept), resolved=resolved.resolved
            )
        )

        assert stopped[-1] == Interrupted(step=step)
        version = bench.directory / f"resumed-{step}/version"
        assert manifest.sha256_of(version / "model.safetensors") == digest
        assert (
            of_kind(resumed, Finetuned)[0].best_step
            == of_kind(uninterrupted, Finetuned)[0].best_step
        )
        assert sorted(logged_steps(stopped) + logged_steps(resumed)) == list(range(1, 19))


def test_run_that_died_resumes_from_its_last_checkpoint(bench: Bench) -> None:
    bench.run(bench.spec("whole"))
    kept = bench.directory / "whole/checkpoints/step-6"  # as if killed at any step before 12

    bench.run(bench.spec("resumed", attempt=2, resume_from=str(kept)))

    for name in ("model.safetensors", "3_Dense/model.safetensors"):
        assert manifest.sha256_of(bench.directory / "resumed/version" / name) == (
            manifest.sha256_of(bench.directory / "whole/version" / name)
        )


def test_best_weights_outlive_a_resume(bench: Bench) -> None:
    """The first checkpoint is the best, since a rate of 1 ruins what follows."""
    hyperparameters = Hyperparameters(
        max_steps=6, learning_rate=2e-3, early_stopping=EarlyStopping(metric="loss", patience=1000)
    )
    spec = bench.spec("first", hyperparameters=hyperparameters, checkpoints=Checkpoints(every=2))
    events = bench.run(spec)
    [resolved] = of_kind(events, HyperparametersResolved)
    ruinous = resolved.resolved | {
        "learning_rate": msgspec.structs.replace(resolved.resolved["learning_rate"], value=1.0),
        "max_steps": msgspec.structs.replace(resolved.resolved["max_steps"], value=8),
    }
    at_six = bench.directory / "first/checkpoints/step-6"
    second = bench.run(
        bench.spec(
            "second", resume_from=str(at_six), resolved=ruinous, checkpoints=Checkpoints(every=2)
        )
    )

    assert not (at_six / "resume/best.safetensors").exists()
    assert (bench.directory / "second/checkpoints/step-8/resume/best.safetensors").exists()
    assert of_kind(second, Finetuned)[0].best_step == 6
    assert manifest.sha256_of(bench.directory / "second/version/model.safetensors") == (
        manifest.sha256_of(at_six / "model.safetensors")
    )


def test_what_attempt_one_resolved_stays(bench: Bench) -> None:
    [resolved] = of_kind(bench.run(bench.spec("one")), HyperparametersResolved)
    again = msgspec.json.decode(msgspec.json.encode(resolved), type=HyperparametersResolved)

    events = bench.run(bench.spec("two", threads=2, resolved=again.resolved))

    [second] = of_kind(events, HyperparametersResolved)
    assert second.resolved == resolved.resolved
    assert second.resolved["threads"].value == 1


def test_leash_that_is_let_go_before_the_first_step_ends_the_run(bench: Bench) -> None:
    events = bench.run(bench.spec(), release=lambda _: True)

    assert events[-1] == Interrupted(step=0)
    assert not of_kind(events, CheckpointSaved)


def test_leash_that_is_let_go_during_validation_saves_and_validates_later(bench: Bench) -> None:
    def release(events: list[AnyEvent]) -> bool:
        return any(event.progress.phase == "validating" for event in of_kind(events, ProgressMade))

    stopped = bench.run(bench.spec("stopped"), release=release)
    resumed = bench.run(
        bench.spec("resumed", resume_from=str(bench.directory / "stopped/checkpoints/step-6"))
    )

    assert stopped[-1] == Interrupted(step=6)
    assert [(event.step, bool(event.metrics)) for event in of_kind(stopped, CheckpointSaved)] == [
        (6, False)
    ]
    assert [event.step for event in of_kind(resumed, CheckpointSaved)] == [6, 12, 18]


def test_loss_that_is_no_number_stops_at_once(bench: Bench) -> None:
    weights = load_file(bench.base / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = math.nan
    save_file(weights, bench.base / "model.safetensors", metadata={"format": "pt"})
    events: list[AnyEvent] = []

    with pytest.raises(Failure) as raised:
        bench.run_into(bench.spec(), events)

    assert raised.value.code == "non-finite-loss"
    assert "at step 1 " in raised.value.message
    [logged] = of_kind(events, MetricLogged)
    assert logged.values["loss"] == NonFinite(non_finite="nan")
    assert not of_kind(events, CheckpointSaved)


def test_validation_that_no_longer_improves_ends_the_run(bench: Bench) -> None:
    hyperparameters = Hyperparameters(
        epochs=50,
        learning_rate=5e-3,
        early_stopping=EarlyStopping(metric="accuracy", patience=2),
    )

    events = bench.run(bench.spec(hyperparameters=hyperparameters))

    [done] = of_kind(events, Finetuned)
    saved = of_kind(events, CheckpointSaved)
    assert done.stop_reason == "early-stopping"
    assert [event.best for event in saved[-3:]] == [True, False, False]
    assert done.best_step == saved[-3].step


def test_time_budget_ends_the_run_with_a_version(bench: Bench) -> None:
    hyperparameters = Hyperparameters(epochs=1000, max_minutes=0.01, early_stopping=None)
    began_at = time.monotonic()

    events = bench.run(bench.spec(hyperparameters=hyperparameters))

    assert of_kind(events, Finetuned)[0].stop_reason == "time-budget"
    assert time.monotonic() - began_at < 30


def test_max_steps_end_in_the_middle_of_an_epoch(bench: Bench) -> None:
    events = bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=8)))

    [done] = of_kind(events, Finetuned)
    assert done.stop_reason is None
    assert [event.step for event in of_kind(events, CheckpointSaved)] == [6, 8]


def test_micro_batches_add_up_to_the_batch(bench: Bench) -> None:
    """Equal up to rounding: the same gradients, summed in another order."""
    whole = Hyperparameters(max_steps=3, dropout=0.0, learning_rate=1e-3)
    parts = msgspec.structs.replace(whole, gradient_accumulation_steps=3)

    bench.run(bench.spec("whole", hyperparameters=whole))
    bench.run(bench.spec("parts", hyperparameters=parts))

    first = load_file(bench.directory / "whole/version/3_Dense/model.safetensors")
    second = load_file(bench.directory / "parts/version/3_Dense/model.safetensors")
    assert (first["linear.weight"] - second["linear.weight"]).abs().max() < 1e-4


def test_run_without_validation_rows_keeps_the_newest_weights(bench: Bench) -> None:
    write_rows(bench.validation, 0)

    events = bench.run(bench.spec())

    [done] = of_kind(events, Finetuned)
    assert done.best_step == 18
    assert done.parity is not None
    assert done.parity.rows == 90  # proven on training rows, where there are no others
    assert all(event.metrics == {} for event in of_kind(events, CheckpointSaved))


def test_checkpoints_that_nobody_takes_away_are_few(bench: Bench) -> None:
    checkpoints = Checkpoints(every=2, keep_last=1, keep_best=1)

    hyperparameters = Hyperparameters(epochs=3, learning_rate=5e-3, early_stopping=None)

    bench.run(bench.spec(checkpoints=checkpoints, hyperparameters=hyperparameters))

    found = sorted(path.name for path in (bench.directory / "work/checkpoints").iterdir())
    assert found == ["step-16", "step-18"]


def test_lower_precision_trains_and_leaves_fp32_weights(bench: Bench) -> None:
    events = bench.run(
        bench.spec(hyperparameters=Hyperparameters(epochs=2, learning_rate=5e-3, precision="bf16"))
    )

    [done] = of_kind(events, Finetuned)
    assert done.parity is not None
    assert done.parity.largest_difference < 1e-5
    weights = load_file(bench.directory / "work/version/model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {"torch.float32"}
    assert AcceleratorState().mixed_precision == "bf16"


def test_fp16_needs_a_gpu(bench: Bench) -> None:
    with pytest.raises(Failure, match="fp16 needs a GPU"):
        bench.run(bench.spec(hyperparameters=Hyperparameters(precision="fp16")))


def test_second_run_tokenises_nothing(bench: Bench) -> None:
    bench.run(bench.spec("one", hyperparameters=Hyperparameters(max_steps=1)))
    before = {path: path.stat().st_mtime_ns for path in (bench.directory / "cache").iterdir()}

    bench.run(bench.spec("two", hyperparameters=Hyperparameters(max_steps=1, max_length=8)))

    after = {path: path.stat().st_mtime_ns for path in (bench.directory / "cache").iterdir()}
    assert len(before) == 2
    assert after == before


def test_label_that_the_dataset_does_not_name_is_a_failure(bench: Bench) -> None:
    with pytest.raises(Failure, match="'rate'") as raised:
        bench.run(bench.spec(labels=["card", "loan"]))

    assert raised.value.code == "label-mismatch"


def test_nothing_is_written_elsewhere(bench: Bench) -> None:
    before = {path.name for path in bench.directory.iterdir()}

    bench.run(bench.spec(hyperparameters=Hyperparameters(max_steps=1)))

    assert {path.name for path in bench.directory.iterdir()} - before == {"work", "cache"}
    assert {path.name for path in (bench.directory / "work").iterdir()} == {
        "checkpoints",
        "version",
    }
    assert pq.read_metadata(bench.train).num_rows == 90


def test_fp16_scaler_goes_on_after_its_state_was_written_as_json() -> None:
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(1))  # its tensors are made at the first use
    state = TrainingState(scaler=scaler.state_dict())

    again = torch.amp.GradScaler("cpu")
    again.load_state_dict(
        msgspec.json.decode(msgspec.json.encode(state), type=TrainingState).scaler
    )

    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight])
    again.scale(weight.sum()).backward()
    again.step(optimizer)
    again.update()
    assert again.state_dict()["_growth_tracker"] == 1
