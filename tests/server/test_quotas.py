"""Quotas: a bucket for each key, refilled with time."""

import time

import msgspec
import pytest
from tests.server.conftest import Api

from tunery_server.problems import Refusal
from tunery_server.quotas import Quotas


def taken(quotas: Quotas, key: str = "a", times: int = 100) -> int:
    """Return how often a key may ask before it is refused."""
    for count in range(times):
        try:
            quotas.take(key)
        except Refusal:
            return count
    return times


def test_a_second_of_requests_may_come_at_once() -> None:
    quotas = Quotas(20.0)
    began = time.monotonic()

    count = taken(quotas)

    refilled = int((time.monotonic() - began) * 20) + 1
    assert 20 <= count <= 20 + refilled
    assert taken(quotas, "b", 20) == 20  # another key has a bucket of its own


def test_a_rare_request_is_allowed_and_the_next_told_when_to_come() -> None:
    quotas = Quotas(0.1)
    quotas.take("a")

    with pytest.raises(Refusal) as refused:
        quotas.take("a")

    assert refused.value.code == "rate-limited"
    assert refused.value.headers == {
        "RateLimit-Policy": '"key";q=1;w=10',
        "RateLimit": '"key";r=0;t=10',
        "Retry-After": "10",
    }


def test_no_rate_is_no_limit() -> None:
    assert taken(Quotas(0.0), times=5000) == 5000


def test_a_key_that_asks_too_often_is_429_and_no_other_key(api: Api) -> None:
    api.services.quotas = Quotas(0.01)
    other = api.headers("predict")
    path = "/openapi.json"

    answers = [api.get(path), api.get(path), api.get(path, headers=other), api.get("/health/live")]

    assert [answer.status_code for answer in answers] == [200, 429, 200, 200]
    assert 0 < int(answers[1].headers["retry-after"]) <= 100
    assert msgspec.json.decode(answers[1].content)["code"] == "rate-limited"
