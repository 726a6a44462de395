"""Which failures are tried again, when, and how often: on a clock that the tests turn."""

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from tests.client.answers import CSV, FILE, JOB, LIVE, Script, client_of, refused

from tunery import _calls as calls
from tunery._retries import Budget, Policy, Tries
from tunery._uploads import FileBody
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    InvalidAnswer,
    InvalidArgument,
    ModelUnavailable,
    NotFound,
    TimedOut,
    TuneryError,
    Unavailable,
)
from tunery.types import PredictRequest

OK = httpx.Response(200, json=LIVE)
LOST = httpx.ReadError("the peer has closed the connection")
NOW = "0"


class Clock:
    """A monotonic clock that stands until a test turns it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Pipe:
    """A stream that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else size
        chunk, self._content = self._content[:end], self._content[end:]
        return chunk


def tries_of(
    call: calls.Call[Any] | None = None,
    *,
    timeout: float | None = 60.0,
    max_retries: int = 5,
    budget: Budget | None = None,
    clock: Callable[[], float] | None = None,
    jitter: float = 0.0,
) -> Tries:
    return Tries(
        call or calls.live(),
        Policy(timeout_seconds=timeout, max_retries=max_retries),
        budget or Budget(),
        clock=clock or Clock(),
        jitter=lambda: jitter,
    )


def refusal(
    status: int, code: str | None = None, retry_after_seconds: float | None = None
) -> ApiError:
    return ApiError("no", status=status, code=code, retry_after_seconds=retry_after_seconds)


def once_only() -> calls.Call[Any]:
    pipe: Any = Pipe(CSV)
    return calls.upload_file(FileBody(pipe, None), name="a.csv", media_type="text/csv")


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionFailed(sent=False),
        ConnectionFailed(sent=True),
        TimedOut(),
        InvalidAnswer(),
        refusal(408, "body-timeout"),
        refusal(409, "request-in-progress"),
        refusal(429, "rate-limited"),
        refusal(500, "internal-error"),
        refusal(502),
        refusal(503, "overloaded"),
        refusal(503, "model-loading"),
        refusal(503),
        refusal(504, "deadline-exceeded"),
    ],
)
def test_what_may_pass_is_tried_again(failure: TuneryError) -> None:
    tries = tries_of()

    tries.after(failure)

    assert tries.retries == 1


@pytest.mark.parametrize(
    "failure",
    [
        TuneryError("this can't be sent"),
        refusal(400, "malformed-json"),
        refusal(401, "invalid-credentials"),
        refusal(403, "insufficient-scope"),
        refusal(404, "job-not-found"),
        refusal(409, "dataset-not-ready"),
        refusal(413, "body-too-large"),
        refusal(422, "unknown-field"),
        refusal(501),
        refusal(503, "model-unavailable"),
        refusal(507, "insufficient-storage"),
        refusal(302),
    ],
)
def test_what_stays_as_it_is_is_raised_at_once(failure: TuneryError) -> None:
    tries = tries_of()

    with pytest.raises(TuneryError) as caught:
        tries.after(failure)

    assert caught.value is failure
    assert tries.retries == 0


@pytest.mark.parametrize(
    "failure", [ConnectionFailed(), TimedOut(), InvalidAnswer(), refusal(500), refusal(502)]
)
def test_a_body_that_can_be_read_once_is_not_sent_again(failure: TuneryError) -> None:
    with pytest.raises(type(failure)):
        tries_of(once_only()).after(failure)


def test_a_body_that_can_be_read_once_is_sent_again_where_nothing_was_sent() -> None:
    assert tries_of(once_only()).after(ConnectionFailed(sent=False)) > 0


def test_a_refused_stream_that_can_be_read_once_is_not_sent_again_without_its_beginning() -> None:
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, Iterable)
        bodies.append(b"".join(request.stream))
        if len(bodies) == 1:
            return refused("overloaded", 503, retry_after=NOW)
        return httpx.Response(201, json=FILE)

    pipe: Any = Pipe(CSV)
    with client_of(handler) as client, pytest.raises(Unavailable):
        client.files.upload(pipe, name="a.csv")

    assert bodies == [CSV]


def test_waits_double_up_to_eight_seconds() -> None:
    tries = tries_of(timeout=None, max_retries=8, jitter=1.0)

    waits = [tries.after(refusal(503)) for _ in range(7)]

    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_jitter_takes_up_to_half_of_a_wait() -> None:
    assert tries_of(jitter=0.0).after(TimedOut()) == 0.125
    assert tries_of(jitter=1.0).after(TimedOut()) == 0.25


def test_retry_after_is_never_waited_for_less_and_not_by_all_alike() -> None:
    assert tries_of(jitter=0.0).after(refusal(503, None, 3.0)) == 3.0
    assert tries_of(jitter=1.0).after(refusal(503, None, 3.0)) == 3.25


@pytest.mark.parametrize("seconds", [60.0, 86_400.0])
def test_a_retry_after_past_the_total_time_is_raised_at_once(seconds: float) -> None:
    with pytest.raises(ApiError):
        tries_of(timeout=60.0).after(refusal(503, None, seconds))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("1e300", 86_400.0),
        ("99999999999999999999", 86_400.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 99 Dec 2026 23:59:59 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 -0000", None),
    ],
)
def test_retry_after_of_any_kind_is_read(header: str, seconds: float | None) -> None:
    script = Script(refused("overloaded", 503, retry_after=header))

    with client_of(script, max_retries=0) as client, pytest.raises(Unavailable) as caught:
        client.live()

    assert caught.value.retry_after_seconds in (seconds, *([0.0] if "0001" in header else []))


def test_retry_after_may_be_a_date() -> None:
    script = Script(
        refused("overloaded", 503, retry_after=formatdate(time.time() + 100, usegmt=True))
    )

    with client_of(script, timeout=5.0) as client, pytest.raises(Unavailable) as caught:
        client.live()

    assert caught.value.retry_after_seconds == pytest.approx(100, abs=3)
    assert len(script.requests) == 1


def test_no_wait_goes_past_the_total_time() -> None:
    clock = Clock()
    tries = tries_of(timeout=2.0, max_retries=100, clock=clock, jitter=1.0)

    for _ in range(3):
        clock.now += tries.after(TimedOut())
    with pytest.raises(TimedOut):
        tries.after(TimedOut())

    assert clock.now == 1001.75  # after 0.25, 0.5 and 1 s; 2 s more would be too late


def test_each_try_has_twice_the_time_of_the_one_before_and_the_third_all_that_is_left() -> None:
    clock = Clock()
    tries = tries_of(timeout=70.0, clock=clock)

    ends = [tries.until()]
    for now in (1010.0, 1030.0):
        clock.now = now
        tries.after(TimedOut())
        ends.append(tries.until())

    assert ends == pytest.approx([1010.0, 1030.0, 1070.0])


def test_a_try_never_has_more_than_is_left() -> None:
    clock = Clock()
    tries = tries_of(timeout=70.0, clock=clock)

    clock.now = 1069.0

    assert tries.until() == 1070.0


def test_the_only_try_has_all_of_the_total_time() -> None:
    assert tries_of(timeout=60.0, max_retries=0).until() == 1060.0


def test_a_patient_call_has_all_of_the_total_time_at_each_try() -> None:
    request = PredictRequest(model="intent", inputs=["hi"])

    assert tries_of(calls.predict(request), timeout=60.0).until() == 1060.0


def test_the_total_time_of_an_upload_leaves_out_how_long_its_pieces_took() -> None:
    tries = tries_of(once_only(), timeout=60.0)

    ends = [tries.until(), tries.moved(50.0), tries.moved(50.0)]

    assert ends == [1060.0, 1110.0, 1160.0]
    assert tries_of(once_only(), timeout=None).moved(50.0) is None


def test_without_a_total_time_no_try_has_an_end() -> None:
    assert tries_of(timeout=None).until() is None


def test_no_more_retries_are_made_than_allowed() -> None:
    tries = tries_of(max_retries=2)
    tries.after(TimedOut())
    tries.after(TimedOut())

    with pytest.raises(TimedOut):
        tries.after(TimedOut())


def test_a_budget_ends_after_fifty_retries_and_ten_answers_earn_one() -> None:
    budget = Budget()

    spent = [budget.spend() for _ in range(51)]
    for _ in range(11):  # a tenth is no binary fraction
        budget.earn()

    assert spent == [True] * 50 + [False]
    assert [budget.spend(), budget.spend()] == [True, False]


def test_a_budget_never_holds_more_than_fifty() -> None:
    budget = Budget()
    for _ in range(100):
        budget.earn()

    assert sum(budget.spend() for _ in range(60)) == 50


def test_calls_of_one_client_share_a_budget() -> None:
    budget = Budget()
    for _ in range(10):
        tries = tries_of(budget=budget)
        for _ in range(5):
            tries.after(refusal(503))

    with pytest.raises(ApiError):
        tries_of(budget=budget).after(refusal(503))


def test_a_failure_that_is_not_tried_again_costs_nothing() -> None:
    budget = Budget()
    for _ in range(60):
        with pytest.raises(ApiError):
            tries_of(budget=budget).after(refusal(404))

    assert sum(budget.spend() for _ in range(60)) == 50


def test_a_deleted_thing_that_is_gone_after_a_lost_answer_was_deleted() -> None:
    script = Script(LOST, refused("dataset-not-found", 404))

    with client_of(script) as client:
        client.datasets.delete("ds_1")

    assert [request.method for request in script.requests] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    "first",
    [
        refused("overloaded", 503, retry_after=NOW),
        refused("rate-limited", 429, retry_after=NOW),
        httpx.ConnectError("refused"),
    ],
)
def test_a_deleted_thing_that_never_was_is_not_found_where_the_first_try_did_nothing(
    first: httpx.Response | Exception,
) -> None:
    script = Script(first, refused("dataset-not-found", 404))

    with client_of(script) as client, pytest.raises(NotFound):
        client.datasets.delete("ds_1")

    assert len(script.requests) == 2


def test_a_first_404_is_not_found() -> None:
    with client_of(Script(refused("file-not-found", 404))) as client, pytest.raises(NotFound):
        client.files.delete("file_1")


def test_a_404_after_a_lost_answer_is_not_found_where_nothing_was_deleted() -> None:
    script = Script(LOST, refused("job-not-found", 404))

    with client_of(script) as client, pytest.raises(NotFound):
        client.jobs.get("job_1")


def test_a_request_in_progress_is_asked_for_again_with_the_same_key() -> None:
    in_progress = refused("request-in-progress", 409, retry_after=NOW)
    script = Script(in_progress, httpx.Response(201, json=FILE))

    with client_of(script) as client:
        assert client.files.upload(CSV, name="reviews.csv").id == FILE["id"]

    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize("key", ["", "k" * 201, "schlüssel", "a\nb"])
def test_a_key_that_the_service_would_refuse_is_not_sent(key: str) -> None:
    script = Script(httpx.Response(202, json=JOB))

    with client_of(script) as client, pytest.raises(InvalidArgument, match="printable ASCII"):
        client.finetune("ds_1", model="intent", idempotency_key=key)

    assert script.requests == []


def test_a_model_that_is_unavailable_is_not_asked_again() -> None:
    script = Script(refused("model-unavailable", 503, retry_after=NOW))

    with client_of(script) as client, pytest.raises(ModelUnavailable):
        client.predict("intent", "hi")

    assert len(script.requests) == 1


def test_a_call_succeeds_after_a_lost_connection_and_a_refusal() -> None:
    script = Script(httpx.ConnectError("refused"), refused("draining", 503, retry_after=NOW), OK)

    with client_of(script) as client:
        assert client.live().status == "live"

    assert len(script.requests) == 3
    assert len({request.headers["X-Request-Id"] for request in script.requests}) == 1
