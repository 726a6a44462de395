"""The gate: request ids, and bodies that are too large, too slow, or end early."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.server.conftest import Api

from tunery_server.limits import Gate


def messages(
    api: Api,
    parts: list[Any],
    path: str,
    headers: list[tuple[bytes, bytes]],
    window_seconds: float = 0.05,
) -> Any:
    """Send a request whose body comes as `parts`; None hangs for ever, an int hangs up."""
    sent: list[Any] = []

    async def receive() -> Any:
        part = parts.pop(0)
        if part is None:
            await asyncio.Event().wait()
        if isinstance(part, int):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    key = (b"authorization", f"Bearer {api.key}".encode())
    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost"), key, *headers],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 1),
        "client": ("localhost", 2),
    }
    gate = Gate(api.app._app._app, api.services, window_seconds=window_seconds)  # type: ignore[attr-defined]
    api.run(gate(scope, receive, send))  # type: ignore[arg-type]
    return sent


CHUNKED = [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("path", ["/finetune", "/files"])
def test_body_that_stops_coming_is_408(api: Api, path: str) -> None:
    media_type = b"text/csv" if path == "/files" else b"application/json"

    sent = messages(api, [b"{", None], path, [*CHUNKED, (b"content-type", media_type)])

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"body-timeout" in sent[1]["body"]
    assert list(api.services.artifacts.incoming.iterdir()) == []


def test_client_that_vanishes_mid_body_is_no_fault_of_ours(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    sent = messages(api, [b"text", 0], "/files", [*CHUNKED, (b"content-type", b"text/csv")])

    assert sent[0]["status"] == 400
    assert list(api.services.artifacts.incoming.iterdir()) == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_very_many_small_chunks_are_refused(calm_api: Api) -> None:
    parts: list[Any] = [b"x"] * 70_002

    headers = [*CHUNKED, (b"content-type", b"application/json")]
    sent = messages(calm_api, parts, "/predict", headers, window_seconds=60.0)

    assert sent[0]["status"] == 413


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1" * 30])
def test_content_length_that_is_none_is_refused(calm_api: Api, length: bytes) -> None:
    sent = messages(calm_api, [b""], "/finetune", [(b"content-length", length)])

    assert sent[0]["status"] == 400


def test_declared_length_over_the_limit_is_refused_before_reading(calm_api: Api) -> None:
    parts = [b"never read"]

    sent = messages(calm_api, parts, "/finetune", [(b"content-length", b"200001")])

    assert sent[0]["status"] == 413
    assert parts == [b"never read"]


@pytest.mark.parametrize(
    ("given", "echoed"), [("abc-1", True), ("x" * 101, False), ("a b", False), ("é", False)]
)
def test_request_id_is_echoed_or_made(calm_api: Api, given: str, echoed: bool) -> None:
    answer = calm_api.get("/health/live", headers={"X-Request-Id": given.encode()})

    found = answer.headers["x-request-id"]
    assert (found == given) if echoed else found.startswith("req_")


def test_a_worker_that_stops_answers_what_has_begun_and_refuses_the_rest(api: Api) -> None:
    drain = api.services.drain

    async def body() -> list[httpx.Response]:
        with drain.request():
            ending = asyncio.create_task(drain.ended(unready_seconds=0, patience_seconds=20))
            drain.begin()
            await asyncio.sleep(0.01)
            paths = ("/health/ready", "/jobs", "/health/live")
            answers = [await api.send("GET", path) for path in paths]
            assert not ending.done()
        await ending
        return answers

    answers = api.run(body())

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert [answer.json().get("code") for answer in answers[:2]] == ["draining", "draining"]
    assert all(answer.headers["connection"] == "close" for answer in answers)
    assert answers[1].headers["retry-after"] == "1"


def test_a_worker_is_unready_for_a_while_before_it_refuses(api: Api) -> None:
    drain = api.services.drain

    async def body() -> list[httpx.Response]:
        ending = asyncio.create_task(drain.ended(unready_seconds=60, patience_seconds=0))
        drain.begin()
        answers = [await api.send("GET", path) for path in ("/health/ready", "/jobs")]
        ending.cancel()
        return answers

    assert [answer.status_code for answer in api.run(body())] == [503, 200]
