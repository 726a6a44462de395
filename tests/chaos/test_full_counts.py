"""The full counts of what `make test` does a few times: minutes to an hour."""

import pytest
from tests.e2e import service as e2e
from tests.e2e.test_recovery import kill_and_come_back
from tests.server.db.test_job_states import drive

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]


def test_ten_killed_supervisors_lose_nothing(fresh: e2e.Service) -> None:
    fresh.start()

    kill_and_come_back(fresh, times=10)


def test_250000_steps_leave_no_published_edge(database_url: str) -> None:
    drive(database_url, examples=5000, steps=50)
