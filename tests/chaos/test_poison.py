"""A thousand batches with one poison among 31 that are none.

python -m pytest -s -m chaos tests/chaos/test_poison.py
"""

import asyncio

import pytest
from tests.chaos.poison import mix
from tests.e2e import service as e2e
from tests.e2e.test_overload import MODEL, loaded

__all__ = ["loaded"]  # a fixture
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]


def test_a_thousand_poisons_fail_alone(loaded: e2e.Service) -> None:
    outcome = asyncio.run(mix(loaded, MODEL, batches=1000))

    print(outcome.line())
    assert (outcome.crossed, outcome.surprising) == ([], [])
