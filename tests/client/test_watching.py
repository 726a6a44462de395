"""Following a job: the stream of its events, lists where none comes through, and waiting."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.answers import (
    AT,
    DATASET,
    DEPLOYMENT,
    JOB,
    JSON,
    NO_EVENTS,
    QUEUED,
    RUNNING,
    Script,
    async_client_of,
    client_of,
    event,
    refused,
)

from tunery import _watching
from tunery._watching import EventFeed, Patience, _StreamParser
from tunery.errors import (
    ConnectionFailed,
    DeploymentFailed,
    InvalidAnswer,
    NotFound,
    NullLabel,
    TimedOut,
    TooManyStreams,
)

NO_STREAM = httpx.Response(204)


def parsed(*chunks: bytes) -> list[bytes]:
    parser = _StreamParser()
    return [data for chunk in chunks for data in parser.feed(chunk)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(stream)) for place in places})
    return [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]


def sent(*events: JSON) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def stream_of(*events: JSON) -> httpx.Response:
    headers = {"Content-Type": "text/event-stream"}
    return httpx.Response(200, content=b": hello\n\n" + sent(*events), headers=headers)


def listed(*events: JSON) -> httpx.Response:
    last = events[-1]["seq"] if events else 0
    return httpx.Response(200, json={**NO_EVENTS, "data": list(events), "last_seq": last})


@given(
    parts=st.lists(
        st.sampled_from(
            [
                b"data: one",
                b"data:two",
                b"data",
                b": a comment",
                b"retry: 3000",
                b"id: 7",
                b"event: metric",
                "data: \u2028 \x85 é 😀".encode(),
                b"",
                b"",
                b"data: a:b",
            ]
        ),
        max_size=12,
    ),
    ends=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12),
    places=st.lists(st.integers(0, 150), max_size=8),
)
def test_any_split_of_the_bytes_gives_the_same_events(
    parts: list[bytes], ends: list[bytes], places: list[int]
) -> None:
    stream = b"".join(part + end for part, end in zip(parts, ends, strict=False))

    assert parsed(*cut(stream, places)) == parsed(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_with_any_of_three_ends(end: bytes) -> None:
    stream = end.join([b"data: one", b"data: two", b"", b"data: three", b"", b""])

    assert parsed(stream + b":") == [b"one\ntwo", b"three"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_byte_at_a_time_gives_the_same_events(end: bytes) -> None:
    stream = end.join([b"data: one", b"", b"data: two", b"", b":"])

    assert parsed(*[bytes([byte]) for byte in stream]) == [b"one", b"two"]


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    data = '{"text":"a\u2028b\u2029c\x85d\x0be"}'.encode()

    assert parsed(b"data: " + data + b"\n\n") == [data]


def test_comments_and_other_fields_are_no_data() -> None:
    assert parsed(b": beat\n\nretry: 3000\n\nid: 7\nevent: end\n\ndatum: x\n\n") == []


def test_one_space_after_the_colon_is_no_part_of_the_data() -> None:
    assert parsed(b"data:  two spaces\n\ndata:none\n\n") == [b" two spaces", b"none"]


def test_an_event_that_is_cut_off_is_none() -> None:
    assert parsed(b"data: whole\n\ndata: cut\n") == [b"whole"]


def test_a_feed_gives_each_event_once() -> None:
    feed = EventFeed("job_1", 0)
    stream = sent(event(1), event(2), event(1), event(2), event(3))

    assert [each.seq for each in feed.streamed(stream)] == [1, 2, 3]
    assert feed.last_seq == 3


def test_a_feed_begins_after_what_was_had() -> None:
    feed = EventFeed("job_1", 5)

    assert [each.seq for each in feed.streamed(sent(event(4), event(5), event(6)))] == [6]


def test_a_feed_refuses_a_gap() -> None:
    feed = EventFeed("job_1", 0)

    with pytest.raises(InvalidAnswer, match="event 2 of job_1 is missing"):
        list(feed.streamed(sent(event(1), event(3))))

    assert feed.last_seq == 1


def test_a_feed_ends_with_the_end() -> None:
    feed = EventFeed("job_1", 0)

    before = [feed.ended for _ in feed.streamed(sent(event(1)))]
    list(feed.streamed(sent(event(2, "end"))))

    assert before == [False]
    assert feed.ended


def test_a_stream_begins_without_the_rest_of_the_one_before() -> None:
    feed = EventFeed("job_1", 0)
    list(feed.streamed(sent(event(1))[:-5]))

    feed.opened()

    assert [each.seq for each in feed.streamed(sent(event(1)))] == [1]


@pytest.mark.parametrize(
    ("failure", "streams"),
    [
        (InvalidAnswer(), False),
        (TooManyStreams(status=429), False),
        (TimedOut(), False),
        (ConnectionFailed(), True),
    ],
)
def test_lists_are_asked_for_where_streams_do_not_come_through(failure: Any, streams: bool) -> None:
    feed = EventFeed("job_1", 0)
    feed.opened()

    feed.failed(failure)

    assert feed.streams is streams


def test_a_stream_that_falls_silent_after_a_while_is_asked_for_again() -> None:
    feed = EventFeed("job_1", 0)
    feed.opened()
    list(feed.streamed(b": hello\n\n"))

    feed.failed(TimedOut())

    assert feed.streams


def test_patience_ends_with_its_deadline() -> None:
    patience = Patience("job_1", 0.0)

    with pytest.raises(TimedOut, match="job_1 has not ended after 0 s"):
        patience.begin()


def test_patience_never_asks_for_longer_than_is_left() -> None:
    assert Patience("job_1", 10.5).begin() == 10
    assert Patience("job_1", 0.5).begin() == 0
    assert Patience("job_1", 1000.0).begin() == 30
    assert Patience("job_1", None).begin() == 30


def test_patience_never_waits_past_its_deadline() -> None:
    patience = Patience("job_1", 0.05)

    assert patience.after(refusal_after(3600.0)) <= 0.05


def test_patience_never_waits_less_than_the_service_asked_for() -> None:
    waits = [Patience("job_1", None).after(refusal_after(8.0)) for _ in range(50)]

    assert min(waits) >= 8.0


def test_patience_raises_what_will_not_pass() -> None:
    with pytest.raises(NotFound):
        Patience("job_1", None).after(NotFound(status=404))


def refusal_after(seconds: float) -> TooManyStreams:
    return TooManyStreams("no", status=429, retry_after_seconds=seconds)


@pytest.fixture(autouse=True)
def _rounds_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a round end at once: no test waits for the half second that spares a service."""
    monkeypatch.setattr(_watching, "SHORTEST_ROUND_SECONDS", 0.0)


def test_events_are_streamed_until_the_end() -> None:
    script = Script(stream_of(event(1), event(2, "end")))

    with client_of(script) as client:
        found = list(client.jobs.events("job_1"))

    assert [each.seq for each in found] == [1, 2]
    assert [request.headers["Accept"] for request in script.requests] == ["text/event-stream"]
    assert "Last-Event-ID" not in script.requests[0].headers


def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    script = Script(
        stream_of(event(1), event(2)),
        httpx.ConnectError("the service restarts"),
        stream_of(event(2), event(3, "end")),
    )

    with client_of(script) as client:
        found = list(client.jobs.events("job_1"))

    assert [each.seq for each in found] == [1, 2, 3]
    asked_after = [request.headers.get("Last-Event-ID") for request in script.requests]
    assert asked_after == [None, "2", "2"]


def test_a_broken_stream_goes_on_for_the_asynchronous_client() -> None:
    script = Script(stream_of(event(1), event(2)), stream_of(event(3, "end")))

    async def body() -> list[int]:
        async with async_client_of(script) as client:
            return [each.seq async for each in client.jobs.events("job_1")]

    assert asyncio.run(body()) == [1, 2, 3]
    asked_after = [request.headers.get("Last-Event-ID") for request in script.requests]
    assert asked_after == [None, "2"]


def test_204_says_that_there_are_no_more_events() -> None:
    script = Script(NO_STREAM)

    with client_of(script) as client:
        assert list(client.jobs.events("job_1", after=9)) == []

    assert [request.headers["Last-Event-ID"] for request in script.requests] == ["9"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>", headers={"Content-Type": "text/html"}),
        refused("too-many-streams", 429, retry_after="0"),
    ],
)
def test_lists_take_the_place_of_streams_that_do_not_come(answer: httpx.Response) -> None:
    script = Script(answer, listed(event(1)), listed(event(2, "end")))

    with client_of(script) as client:
        found = list(client.jobs.events("job_1"))

    assert [each.seq for each in found] == [1, 2]
    lists = script.requests[1:]
    assert [request.headers["Accept"] for request in lists] == ["application/json"] * 2
    assert [dict(request.url.params) for request in lists] == [
        {"after": "0", "limit": "500", "wait": "30"},
        {"after": "1", "limit": "500", "wait": "30"},
    ]


def test_a_job_that_has_ended_without_an_end_in_its_list_ends() -> None:
    html = httpx.Response(200, text="<html>", headers={"Content-Type": "text/html"})
    script = Script(html, listed(), httpx.Response(200, json=JOB), listed())

    with client_of(script) as client:
        assert list(client.jobs.events("job_1")) == []

    assert len(script.requests) == 4


def test_events_of_no_job_are_not_found_at_once() -> None:
    script = Script(refused("job-not-found", 404))

    with client_of(script) as client, pytest.raises(NotFound):
        list(client.jobs.events("job_1"))

    assert len(script.requests) == 1


def test_a_job_is_waited_for_through_answers_that_say_nothing_new() -> None:
    unchanged = httpx.Response(304)
    script = Script(
        httpx.Response(200, json=QUEUED, headers={"ETag": '"1"'}),
        unchanged,
        httpx.ReadError("gone"),
        unchanged,
        httpx.Response(200, json=RUNNING, headers={"ETag": '"2"'}),
        httpx.Response(200, json=JOB, headers={"ETag": '"3"'}),
    )
    seen: list[str] = []

    with client_of(script) as client:
        job = client.jobs.wait("job_1", on_update=lambda each: seen.append(each.status))

    assert job.status == "succeeded"
    assert seen == ["queued", "running", "succeeded"]
    assert [request.headers.get("If-None-Match") for request in script.requests] == [
        None,
        '"1"',
        '"1"',
        '"1"',
        '"1"',
        '"2"',
    ]
    assert [request.url.params.get("wait") for request in script.requests] == [
        None,
        *["30"] * 5,
    ]


def test_a_wait_ends_in_time_where_the_job_does_not() -> None:
    script = Script(httpx.Response(200, json=RUNNING))
    began = time.monotonic()

    with client_of(script) as client, pytest.raises(TimedOut, match="job_1 has not ended"):
        client.jobs.wait("job_1", timeout=0.1)

    assert time.monotonic() - began < 10.0


def test_a_status_that_this_client_does_not_know_is_waited_through() -> None:
    newer = {**RUNNING, "status": "hibernating", "terminal": False}
    script = Script(httpx.Response(200, json=newer), httpx.Response(200, json=JOB))
    seen: list[str] = []

    with client_of(script) as client:
        job = client.jobs.wait("job_1", on_update=lambda each: seen.append(each.status))

    assert job.status == "succeeded"
    assert seen == ["hibernating", "succeeded"]


def test_events_while_waiting_outlast_a_restart() -> None:
    gone = [httpx.ConnectError("the service restarts")] * 2
    script = Script(httpx.Response(200, json=JOB), *gone, listed(event(1), event(2, "end")))
    seen: list[int] = []

    with client_of(script, max_retries=0) as client:
        client.jobs.wait("job_1", on_event=lambda each: seen.append(each.seq))

    assert seen == [1, 2]


def test_awaited_events_while_waiting_outlast_a_restart() -> None:
    gone = [httpx.ConnectError("the service restarts")] * 2
    script = Script(httpx.Response(200, json=JOB), *gone, listed(event(1), event(2, "end")))
    seen: list[int] = []

    async def body() -> None:
        async with async_client_of(script, max_retries=0) as client:
            await client.jobs.wait("job_1", on_event=lambda each: seen.append(each.seq))

    asyncio.run(body())
    assert seen == [1, 2]


def test_a_wait_ends_in_time_where_its_events_do_not_come() -> None:
    script = Script(httpx.Response(200, json=RUNNING), httpx.ConnectError("gone"))
    began = time.monotonic()

    with client_of(script) as client, pytest.raises(TimedOut, match="job_1 has not ended"):
        client.jobs.wait("job_1", timeout=0.3, on_event=lambda _: None)

    assert time.monotonic() - began < 10.0


def test_a_quiet_time_is_none_without_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watching, "UNREACHABLE_SECONDS", 0.0)
    patience = Patience("job_1", None)

    patience.after(ConnectionFailed())
    patience.answered()
    patience.after(ConnectionFailed())

    with pytest.raises(ConnectionFailed):
        patience.after(ConnectionFailed())


def test_a_beat_of_a_stream_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watching, "UNREACHABLE_SECONDS", 0.0)

    def beat() -> Iterator[bytes]:
        yield b": beat\n\n"
        raise httpx.ReadError("gone")

    def beating(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": "text/event-stream"}
        return httpx.Response(200, content=beat(), headers=headers)

    script = Script(httpx.ConnectError("gone"), beating, stream_of(event(1, "end")))

    with client_of(script) as client:
        assert [each.seq for each in client.jobs.events("job_1")] == [1]


REPLACED: JSON = {
    **DEPLOYMENT,
    "desired": {"version": "intent/9", "generation": 5},
    "actual": {**DEPLOYMENT["actual"], "version": "intent/9", "generation": 5},
    "history": [{"at": AT, "generation": 5, "version": "intent/9", "outcome": "ready"}],
}
DELETED: JSON = {
    **DEPLOYMENT,
    "status": "stopped",
    "desired": {"generation": 5},
    "actual": None,
    "history": [],
}


@pytest.mark.parametrize("later", [REPLACED, DELETED], ids=["another PUT", "a DELETE"])
def test_a_deployment_that_is_superseded_is_no_success(later: JSON) -> None:
    script = Script(httpx.Response(202, json=DEPLOYMENT), httpx.Response(200, json=later))

    with client_of(script) as client, pytest.raises(DeploymentFailed, match="something else"):
        client.deployments.deploy("intent", "intent/3")


def test_an_awaited_deployment_that_is_superseded_is_no_success() -> None:
    script = Script(httpx.Response(202, json=DEPLOYMENT), httpx.Response(200, json=REPLACED))

    async def body() -> None:
        async with async_client_of(script) as client:
            await client.deployments.deploy("intent", "intent/3")

    with pytest.raises(DeploymentFailed, match="something else"):
        asyncio.run(body())


def test_a_deployment_that_served_before_it_was_replaced_is_a_success() -> None:
    history = [*REPLACED["history"], *DEPLOYMENT["history"]]
    script = Script(
        httpx.Response(202, json=DEPLOYMENT),
        httpx.Response(200, json={**REPLACED, "history": history}),
    )

    with client_of(script) as client:
        assert client.deployments.deploy("intent", "intent/3").desired.generation == 5


def test_a_deployment_that_was_asked_to_stop_has_stopped() -> None:
    script = Script(httpx.Response(202, json=DELETED), httpx.Response(200, json=DELETED))

    with client_of(script) as client:
        stopped = client.deployments.wait(client.deployments.delete("intent"))

    assert stopped.status == "stopped"


def test_a_rejection_is_one_though_its_report_does_not_come() -> None:
    error = {"code": "null-label", "message": "12 rows have no label", "hint": "Fill them in."}
    rejected = {**DATASET, "status": "rejected", "error": error}
    script = Script(httpx.Response(200, json=rejected), httpx.ReadError("gone"))

    with client_of(script, max_retries=0) as client, pytest.raises(NullLabel):
        client.datasets.wait("ds_1")


def test_events_while_waiting_come_in_order_and_once() -> None:
    script = Script(
        httpx.Response(200, json=RUNNING),
        listed(event(1)),
        httpx.Response(200, json=JOB),
        listed(event(2, "end")),
    )
    seen: list[int] = []

    with client_of(script) as client:
        client.jobs.wait("job_1", on_event=lambda each: seen.append(each.seq))

    assert seen == [1, 2]
    assert [request.url.params.get("after") for request in script.requests] == [
        None,
        "0",
        None,
        "1",
    ]
