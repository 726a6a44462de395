"""What an upload or a registration was told survives kill -9; the rest leaves nothing."""

from pathlib import Path

from tests.chaos.uploads import API, INGEST, SERVER, running, storm

FEW_STARTS = (API, INGEST, API, INGEST, SERVER)  # a start takes the longest


def test_five_kills_under_uploads_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "d") as service:
        outcome = storm(service, kills=5, seed=1, max_pause_seconds=0.5, kinds=FEW_STARTS)

    print(outcome.line())
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert (outcome.kills.total(), outcome.refused_starts) == (5, 0)
    assert outcome.after is not None
    assert outcome.after.total == 0
