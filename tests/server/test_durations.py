"""Durations, worked by hand from what another job took."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tunery.types import Hyperparameters, Pace, Progress, Resolved
from tunery_server.durations import measured_by, seconds_of
from tunery_trainer.protocol.wire import Forecasted

BEGAN = datetime(2026, 11, 26, tzinfo=UTC)
RESOLVED = {
    "precision": Resolved(value="fp32", source="auto:device"),
    "threads": Resolved(value=2, source="default"),
    "freeze": Resolved(value=[], source="user"),
    "peft": Resolved(value=None, source="default"),
    "gradient_checkpointing": Resolved(value=False, source="auto:small-model"),
    "optimizer": Resolved(value="adamw", source="default"),
}
# 1,000 tokens a second; a validation of 300 tokens takes 0.1 s, and its checkpoint 0.4 s.
PACE = Pace(
    device="cpu",
    training_tokens=20_000,
    training_seconds=20.0,
    validations=2,
    validation_tokens=600,
    validation_seconds=1.0,
)


class Row(NamedTuple):
    """A row of a fine-tune that took 30 s, 9 of which went into neither steps nor validations."""

    id: str = "job_1"
    spec: dict[str, Any] = {"base_model": "tiny"}
    resolved: dict[str, Resolved] = RESOLVED
    progress: Progress | None = Progress(phase="exporting", pace=PACE)
    started_at: datetime = BEGAN
    finished_at: datetime = BEGAN + timedelta(seconds=30)


def found_among(*rows: Any) -> tuple[str, bool] | None:
    lineage = ["intent/2", "tiny"]
    found = measured_by(rows, lineage=lineage, device="cpu", resolved=RESOLVED)
    return None if found is None else (found[1].job, found[1].alike)


def forecast(tokens: int = 40_000) -> Forecasted:
    return Forecasted(
        id=1,
        resolved=RESOLVED,
        rows=100,
        steps=80,
        tokens=tokens,
        validations=4,
        validation_tokens=6000,
        memory_bytes=1,
        checkpoints=3,
        checkpoint_bytes=1,
        checkpoints_bytes=3,
        version_bytes=1,
    )


def test_seconds_are_those_of_tokens_validations_checkpoints_and_the_rest() -> None:
    row: Any = Row()

    seconds = seconds_of(forecast(), row, Hyperparameters())

    assert seconds == pytest.approx(9 + 40 + 4 * 0.4 + 6000 / 3000)


def test_a_time_budget_ends_the_steps() -> None:
    row: Any = Row()

    seconds = seconds_of(forecast(tokens=10**9), row, Hyperparameters(max_minutes=2))

    assert seconds == pytest.approx(9 + 120)


def test_the_newest_that_was_set_alike_is_taken_before_a_newer_one() -> None:
    other = RESOLVED | {"threads": Resolved(value=1, source="default")}
    rows = [Row(id="job_3", resolved=other), Row(id="job_2"), Row(id="job_1")]

    assert found_among(*rows) == ("job_2", True)
    assert found_among(*rows[:1]) == ("job_3", False)


@pytest.mark.parametrize(
    "row",
    [
        Row(spec={"base_model": "minilm-l6"}),
        Row(spec={"base_model": "tiny", "dry_run": True}),
        Row(progress=None),
        Row(progress=Progress(phase="exporting")),
        Row(progress=Progress(phase="exporting", pace=Pace(device="cpu"))),
        Row(progress=Progress(phase="exporting", pace=Pace(device="cuda", training_tokens=9))),
    ],
)
def test_another_model_another_device_a_rehearsal_or_a_single_step_measures_nothing(
    row: Row,
) -> None:
    assert found_among(row) is None
