"""What a failed fine-tune changes before it is tried again."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Api
from tests.server.test_routes_jobs import finetune

from tunery.types import Resolved
from tunery_server.db.queries import jobs
from tunery_server.supervisor import oom
from tunery_server.supervisor.remedies import Remedy, remedy_of

RESOLVED = {
    "batch_size": Resolved(value=32, source="auto:rows"),
    "gradient_accumulation_steps": Resolved(value=1, source="auto:tokens"),
    "learning_rate": Resolved(value=1e-3, source="user"),
    "head_learning_rate": Resolved(value=1e-2, source="auto:10x-learning-rate"),
}


def remedied(
    api: Api, code: str, changed: dict[str, Resolved], **hyperparameters: Any
) -> Remedy | None:
    """Return the remedy of a job that runs, with what it has resolved."""
    job = finetune(api, api.add_dataset(), hyperparameters=hyperparameters).json()["id"]

    async def ask() -> Remedy | None:
        async with api.services.database.write() as connection:
            row = await jobs.claim(connection, ["finetune"])
            assert row is not None
            await jobs.record(connection, job, attempt=row.attempt, resolved=RESOLVED | changed)
        async with api.services.database.read() as connection:
            return remedy_of(await jobs.row_of(connection, job), code)

    return api.run(ask())


@pytest.mark.parametrize(
    ("batch", "parts", "then"), [(32, 1, 2), (32, 2, 4), (32, 16, 32), (5, 1, 2), (5, 4, 5)]
)
def test_memory_that_ran_out_halves_what_goes_through_at_once(
    api: Api, batch: int, parts: int, then: int
) -> None:
    changed = {
        "batch_size": Resolved(value=batch, source="user"),
        "gradient_accumulation_steps": Resolved(value=parts, source="auto:tokens"),
    }

    remedy = remedied(api, "out-of-memory", changed)

    assert remedy is not None
    assert remedy.resolved == {
        "gradient_accumulation_steps": Resolved(value=then, source="auto:out-of-memory")
    }


def test_one_row_at_a_time_is_the_end(api: Api) -> None:
    parts = {"gradient_accumulation_steps": Resolved(value=32, source="auto:out-of-memory")}

    assert remedied(api, "out-of-memory", parts) is None


def test_a_rate_is_halved_once_where_that_was_asked_for(api: Api) -> None:
    remedy = remedied(api, "non-finite-loss", {}, on_non_finite="rollback")

    assert remedy is not None
    assert {name: each.value for name, each in remedy.resolved.items()} == {
        "learning_rate": 5e-4,
        "head_learning_rate": 5e-3,
    }
    assert remedied(api, "non-finite-loss", remedy.resolved, on_non_finite="rollback") is None
    assert remedied(api, "non-finite-loss", {}) is None


def test_other_failures_have_no_remedy(api: Api) -> None:
    assert remedied(api, "label-mismatch", {}) is None


@pytest.mark.parametrize(
    ("code", "log", "kills", "expected"),
    [
        (-signal.SIGKILL, "", 1, True),
        (-signal.SIGKILL, "", 0, False),  # somebody else's doing
        (-signal.SIGABRT, "memory allocation of 2162704 bytes failed\n" + "stack\n" * 999, 0, True),
        (-signal.SIGABRT, "terminate called after throwing 'std::bad_alloc'", 0, True),
        (-signal.SIGABRT, "assertion failed", 0, False),
        (-signal.SIGSEGV, "memory allocation of 8 bytes failed", 0, False),
    ],
)
def test_a_death_for_memory_is_told_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, log: str, kills: int, expected: bool
) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text(f"pgfault 7\noom_kill {3 + kills}\n")
    monkeypatch.setattr(oom, "_COUNTERS", counters)
    (tmp_path / "log").write_text(log)

    assert oom.memory_ran_out(code, tmp_path / "log", 3) is expected


def test_where_the_kernel_does_not_count_nothing_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oom, "_COUNTERS", tmp_path / "none")

    assert oom.oom_kills() is None
    assert not oom.memory_ran_out(-signal.SIGKILL, tmp_path / "log", None)
