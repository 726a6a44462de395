"""What an upload or a registration was told survives kill -9; the rest leaves nothing."""

from pathlib import Path

from tests.chaos.uploads import storm
from tests.e2e import service as e2e


def test_ten_kills_under_uploads_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    with e2e.running(tmp_path / "d", devices="none") as service:
        outcome = storm(service, kills=10, seed=1, max_pause_seconds=0.5)

    print(outcome.line())
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.kills.total() == 10
    assert outcome.after is not None
    assert outcome.after.total == 0
