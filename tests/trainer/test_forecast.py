"""Forecasts against the runs that they forecast."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.trainer.tiny_model import LABELS, Bench, of_kind

from tunery.types import Checkpoints, Hyperparameters, Lora, Pace
from tunery_trainer.failure import Refusal
from tunery_trainer.forecast import forecast
from tunery_trainer.protocol.events import (
    AnyEvent,
    CheckpointSaved,
    Finetuned,
    HyperparametersResolved,
    ProgressMade,
)
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.protocol.wire import Forecasted, ForecastFinetune


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def forecast_of(spec: FinetuneRun, version_dir: str | None = None) -> Forecasted:
    message = ForecastFinetune(
        id=1,
        task=spec.task,
        base_model=spec.base_model,
        version_dir=version_dir,
        train=spec.train,
        validation=spec.validation,
        validation_carved=spec.validation_carved,
        labels=LABELS,
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters,
        checkpoints=spec.checkpoints,
        device=spec.device,
        threads=spec.threads,
    )
    return forecast(message, Path(spec.base_model_dir))


def pace_of(events: list[AnyEvent]) -> Pace:
    pace = of_kind(events, ProgressMade)[-1].progress.pace
    assert pace is not None
    return pace


@pytest.mark.parametrize(
    "asked",
    [
        Hyperparameters(max_steps=7, batch_size=8, rdrop=4.0, max_length=8),
        Hyperparameters(epochs=2, train_on_validation=True, label_names=True),
    ],
)
def test_a_run_takes_the_steps_and_tokens_of_its_forecast(
    bench: Bench, asked: Hyperparameters
) -> None:
    spec = bench.spec(hyperparameters=asked, checkpoints=Checkpoints(every=4))
    said = forecast_of(spec)

    events = bench.run(spec)

    [resolved] = of_kind(events, HyperparametersResolved)
    saved = of_kind(events, CheckpointSaved)
    pace = pace_of(events)
    assert said.resolved == resolved.resolved
    assert saved[-1].step == said.steps
    assert pace.validations == said.validations == len(saved)
    assert pace.validation_tokens == said.validation_tokens
    # Another order of the rows has other padding; the first step is not counted.
    assert pace.training_tokens == pytest.approx(said.tokens, rel=0.15)


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        (Hyperparameters(epochs=3), 18 + 21),  # and again on 111 rows
        (Hyperparameters(epochs=3, refit=False), 18),
        (Hyperparameters(epochs=3, refit=False, seeds=3), 18 * 4),
        (Hyperparameters(max_steps=5), 5),
    ],
)
def test_trainings_of_a_run_are_counted_to_their_last_step(
    bench: Bench, asked: Hyperparameters, steps: int
) -> None:
    assert forecast_of(bench.spec(hyperparameters=asked, validation_carved=True)).steps == steps


@pytest.mark.parametrize("peft", [None, Lora(r=8)])
def test_checkpoints_and_version_have_the_sizes_of_the_forecast(
    bench: Bench, peft: Lora | None
) -> None:
    asked = Hyperparameters(epochs=1, freeze=("embeddings",), peft=peft)
    spec = bench.spec(hyperparameters=asked, checkpoints=Checkpoints(every=100))
    said = forecast_of(spec)

    events = bench.run(spec)

    [saved] = of_kind(events, CheckpointSaved)
    [made] = of_kind(events, Finetuned)
    assert saved.size_bytes == pytest.approx(said.checkpoint_bytes, rel=0.1)
    assert made.size_bytes == pytest.approx(said.version_bytes, rel=0.1)


def test_a_refit_keeps_no_further_checkpoint_since_its_last_one_is_the_best(bench: Bench) -> None:
    def kept(**asked: object) -> int:
        changed = msgspec.structs.replace(Hyperparameters(epochs=9), **asked)
        return forecast_of(bench.spec(hyperparameters=changed, validation_carved=True)).checkpoints

    assert (kept(refit=False), kept(refit=True)) == (3, 2)


def test_memory_grows_with_what_a_step_holds(bench: Bench) -> None:
    def memory_of(**asked: object) -> int:
        changed = msgspec.structs.replace(Hyperparameters(max_length=16), **asked)
        return forecast_of(bench.spec(hyperparameters=changed, device="cuda")).memory_bytes

    whole = memory_of(batch_size=64)

    assert memory_of(batch_size=16) < whole
    assert memory_of(batch_size=64, gradient_accumulation_steps=4) < whole
    assert memory_of(batch_size=64, gradient_checkpointing=True) < whole
    assert memory_of(batch_size=64, freeze=("embeddings", 0)) < whole
    assert memory_of(batch_size=64, rdrop=4.0) > whole


def test_what_the_job_would_refuse_the_forecast_refuses(bench: Bench) -> None:
    spec = bench.spec(hyperparameters=Hyperparameters(freeze=(9,)))

    with pytest.raises(Refusal, match="has 2 layers") as raised:
        forecast_of(spec)

    assert raised.value.code == "schema-violation"


def test_the_reader_forecasts_without_torch() -> None:
    code = (
        "import sys, tunery_trainer.reader; assert not {'torch', 'transformers'} & {*sys.modules}"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
