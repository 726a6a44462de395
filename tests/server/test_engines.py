"""The API's side of the wire, against an engine on a real socket."""

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.server.conftest import Api
from tests.server.fake_engine import FakeEngine, answered

from tunery.types import DeploymentSpec
from tunery_server import engines
from tunery_server.db.queries import deployments
from tunery_server.news import SUPERVISOR
from tunery_trainer.protocol.wire import AnyReply, Moved, Predict, Refused

BODY = {"model": "intent", "inputs": ["I lost my card", "where is it?"]}


@contextmanager
def supervisor_socket(api: Api) -> Iterator[socket.socket]:
    path = api.services.settings.run_dir / SUPERVISOR
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(path))
        yield listening


async def received(listening: socket.socket) -> str:
    async with asyncio.timeout(10):
        return (await asyncio.get_running_loop().sock_recv(listening, 256)).decode()


async def route(api: Api, engine: str, version: str = "intent/1") -> None:
    async with api.services.database.write() as connection:
        await deployments.replace_routes(
            connection, "default", "intent", version=version, sockets=[engine]
        )


def predict(api: Api, body: object = BODY, **headers: str) -> Coroutine[Any, Any, httpx.Response]:
    return api.send("POST", "/predict", json=body, headers=headers)


def test_answer_names_version_and_request(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))

    async def body() -> httpx.Response:
        async with FakeEngine(tmp_path / "a"):
            return await predict(api, **{"X-Request-Id": "mine"})

    answer = api.run(body())

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"] == "mine"
    found = answer.json()
    assert (found["model"], found["version"], found["request_id"]) == ("intent", "intent/1", "mine")
    assert [prediction["label"] for prediction in found["predictions"]] == ["a", "a"]


def test_many_requests_share_one_connection_and_get_their_own_answers(
    api: Api, tmp_path: Path
) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))

    async def body() -> list[httpx.Response]:
        async with FakeEngine(tmp_path / "a") as engine:
            sizes = range(1, 41)
            asked = (predict(api, {"model": "intent", "inputs": ["x"] * n}) for n in sizes)
            answers = await asyncio.gather(*asked)
            assert len(engine._writers) == 1
            return answers

    answers = api.run(body())

    assert [len(answer.json()["predictions"]) for answer in answers] == list(range(1, 41))


def test_moved_request_is_sent_again_to_the_new_engine(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "old"),))

    async def body() -> httpx.Response:
        async with (
            FakeEngine(tmp_path / "old") as old,
            FakeEngine(tmp_path / "new", lambda message: answered(message, "intent/2")) as new,
        ):
            await predict(api)
            old.script = lambda message: Moved(id=message.id)
            await route(api, new.socket, "intent/2")
            return await predict(api)

    answer = api.run(body())

    assert (answer.status_code, answer.json()["version"]) == (200, "intent/2")


def test_many_inputs_are_spread_over_the_replicas(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"), str(tmp_path / "b")))
    inputs = [f"text {i}" for i in range(101)]

    def script(message: Predict) -> AnyReply:
        reply = answered(message)
        one = reply.predictions[0]
        numbered = [replace(one, tokens=int(str(text)[5:])) for text in message.inputs]
        return replace(reply, predictions=numbered)

    async def body() -> tuple[httpx.Response, list[list[int]]]:
        async with FakeEngine(tmp_path / "a", script) as a, FakeEngine(tmp_path / "b", script) as b:
            answer = await predict(api, {"model": "intent", "inputs": inputs})
            few = await predict(api, {"model": "intent", "inputs": inputs[:20]})
            assert len(few.json()["predictions"]) == 20
            return answer, [[len(each.inputs), each.first] for each in (*a.received, *b.received)]

    answer, parts = api.run(body())

    assert [each["tokens"] for each in answer.json()["predictions"]] == list(range(101))
    assert sorted(parts) == [[20, 0], [50, 0], [51, 50]]


def test_parts_of_two_versions_are_asked_for_again(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"), str(tmp_path / "b")))
    first = ["intent/1", "intent/2"]

    def script(message: Predict) -> AnyReply:
        return answered(message, first.pop() if first else "intent/2")

    async def body() -> httpx.Response:
        async with FakeEngine(tmp_path / "a", script), FakeEngine(tmp_path / "b", script):
            return await predict(api, {"model": "intent", "inputs": ["x"] * 64})

    answer = api.run(body()).json()

    assert (answer["version"], len(answer["predictions"])) == ("intent/2", 64)


def test_lost_connection_is_retried_once(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))
    deaths = [1]

    def script(message: Predict) -> AnyReply:
        if deaths:
            deaths.pop()
            raise ConnectionResetError
        return answered(message)

    async def body() -> httpx.Response:
        async with FakeEngine(tmp_path / "a", script):
            return await predict(api)

    assert api.run(body()).status_code == 200


def test_request_that_two_engines_die_of_is_given_up(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"), str(tmp_path / "b")))

    def script(_: Predict) -> AnyReply:
        raise ConnectionResetError

    async def body() -> tuple[httpx.Response, list[int]]:
        async with FakeEngine(tmp_path / "a", script) as a, FakeEngine(tmp_path / "b", script) as b:
            return await predict(api), [len(each.received) for each in (a, b)]

    answer, asked = api.run(body())

    assert (answer.status_code, answer.json()["code"], asked) == (503, "engine-restarted", [1, 1])
    assert answer.headers["retry-after"] == "1"


def test_engine_that_is_about_to_be_gone_dies_once(api: Api, tmp_path: Path) -> None:
    """Its socket may take a connection when its process has lost others already."""
    api.add_deployment("intent", "ready", (str(tmp_path / "dying"),))
    asked: list[Predict] = []

    def script(message: Predict) -> AnyReply:
        asked.append(message)
        raise ConnectionResetError

    async def body() -> httpx.Response:
        async with FakeEngine(tmp_path / "dying", script), FakeEngine(tmp_path / "new") as new:
            answer = asyncio.create_task(predict(api))
            while len(asked) < 2:  # noqa: ASYNC110 - a script is no coroutine
                await asyncio.sleep(0.01)
            await route(api, new.socket)
            return await answer

    assert api.run(body()).status_code == 200


def test_engine_that_is_gone_is_waited_for_until_the_deadline(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "nobody"),))

    answer = api.run(predict(api, **{"X-Request-Timeout-Ms": "300"}))

    assert (answer.status_code, answer.json()["code"]) == (503, "engine-restarted")
    assert answer.headers["retry-after"] == "1"


def test_engine_that_takes_the_place_of_a_dead_one_answers(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "dead"),))

    async def body() -> httpx.Response:
        asked = asyncio.create_task(predict(api))
        await asyncio.sleep(0.1)
        async with FakeEngine(tmp_path / "new") as new:
            await route(api, new.socket)
            return await asked

    assert api.run(body()).status_code == 200


def test_replica_that_owes_nothing_is_asked_whatever_it_held(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"), str(tmp_path / "b")))
    laden = lambda message: replace(answered(message), held_tokens=50_000)  # noqa: E731

    async def body() -> list[int]:
        async with FakeEngine(tmp_path / "a", laden) as a, FakeEngine(tmp_path / "b") as b:
            for _ in range(40):
                await predict(api)
            return [len(each.received) for each in (a, b)]

    assert min(api.run(body())) > 1


def test_a_replica_counts_as_laden_before_it_answers(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"), str(tmp_path / "b")))
    long = {"model": "intent", "inputs": ["x" * 10_000]}
    gone = {"X-Request-Timeout-Ms": "1000"}

    async def body() -> list[int]:
        silent: Any = lambda _: None  # noqa: E731
        async with FakeEngine(tmp_path / "a", silent) as a, FakeEngine(tmp_path / "b", silent) as b:
            asked = []
            for each in (long, *[BODY] * 10):
                asked.append(asyncio.create_task(predict(api, each, **gone)))
                await asyncio.sleep(0.05)
            await asyncio.gather(*asked)
            return [
                sum(isinstance(message, Predict) for message in each.received) for each in (a, b)
            ]

    assert sorted(api.run(body())) == [1, 10]


@pytest.mark.parametrize(
    ("code", "status"), [("overloaded", 503), ("text-too-long", 422), ("deadline-exceeded", 504)]
)
def test_refusal_of_the_engine_is_the_answer(
    api: Api, tmp_path: Path, code: str, status: int
) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))

    async def body() -> httpx.Response:
        script = lambda message: Refused(id=message.id, code=code, message="as it says")  # noqa: E731
        async with FakeEngine(tmp_path / "a", script):
            return await predict(api)

    answer = api.run(body())

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_deadline_cancels_in_the_engine(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))

    async def body() -> httpx.Response:
        async with FakeEngine(tmp_path / "a", lambda _: None) as engine:
            answer = await predict(api, **{"X-Request-Timeout-Ms": "500"})
            async with asyncio.timeout(5):
                await engine.cancelled.wait()
            return answer

    answer = api.run(body())

    assert (answer.status_code, answer.json()["code"]) == (504, "deadline-exceeded")


def test_client_that_hangs_up_cancels_in_the_engine(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "a"),))

    async def body() -> None:
        asked = asyncio.Event()
        async with FakeEngine(tmp_path / "a", lambda _: asked.set()) as engine:
            content = b'{"model":"intent","inputs":["x"]}'
            messages = [
                {"type": "http.request", "body": content, "more_body": False},
                {"type": "http.disconnect"},
            ]

            async def receive() -> Any:
                if len(messages) == 1:
                    await asked.wait()
                return messages.pop(0)

            async def send(_: Any) -> None:
                pass

            headers = [
                (b"host", b"localhost"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
                (b"authorization", f"Bearer {api.key}".encode()),
            ]
            scope: Any = {
                "type": "http",
                "method": "POST",
                "path": "/predict",
                "raw_path": b"/predict",
                "query_string": b"",
                "headers": headers,
                "http_version": "1.1",
                "scheme": "http",
                "server": ("localhost", 1),
                "client": ("localhost", 2),
            }
            await api.app(scope, receive, send)
            async with asyncio.timeout(5):
                await engine.cancelled.wait()

    api.run(body())


@pytest.mark.parametrize(
    ("status", "answer_status", "code"),
    [
        ("loading", 503, "model-loading"),
        ("failed", 503, "model-unavailable"),
        ("stopped", 404, "model-not-found"),
    ],
)
def test_deployment_without_an_engine_says_why(
    api: Api, status: str, answer_status: int, code: str
) -> None:
    api.add_deployment("intent", status)

    answer = api.run(predict(api, **{"X-Request-Timeout-Ms": "500"}))

    assert (answer.status_code, answer.json()["code"]) == (answer_status, code)
    assert ("retry-after" in answer.headers) == (answer_status == 503)


def test_requests_for_an_idle_deployment_have_it_woken_and_wait(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "idle")

    async def body() -> tuple[list[str], list[httpx.Response]]:
        async with FakeEngine(tmp_path / "a") as engine:
            by_version = {**BODY, "model": "intent/1"}
            asked = [asyncio.create_task(predict(api, each)) for each in (BODY, BODY, by_version)]
            with supervisor_socket(api) as socket:
                wanted = [await received(socket), await received(socket)]
            await route(api, engine.socket)
            api.services.news.tell("deployment:default/intent")
            return wanted, await asyncio.gather(*asked)

    wanted, answers = api.run(body())

    # Two, since a name and a version are two searches; not one a request.
    assert wanted == ["wanted:default/intent"] * 2
    assert [answer.status_code for answer in answers] == [200] * 3


def test_a_sleeping_deployment_is_woken_while_its_next_version_is_not_there(api: Api) -> None:
    api.add_deployment("intent", "idle")

    async def body() -> str:
        async with api.services.database.write() as connection:
            await deployments.put(
                connection, "default", "intent", DeploymentSpec(version="intent/2")
            )
        with supervisor_socket(api) as socket:
            asked = asyncio.create_task(predict(api, **{"X-Request-Timeout-Ms": "500"}))
            wanted = await received(socket)
            await asked
        return wanted

    assert api.run(body()) == "wanted:default/intent"


def test_a_version_that_is_served_no_longer_is_not_waited_for(api: Api, tmp_path: Path) -> None:
    api.add_deployment("intent", "ready")
    by_version = {**BODY, "model": "intent/1"}

    async def body() -> httpx.Response:
        asked = asyncio.create_task(predict(api, by_version))
        await asyncio.sleep(0.1)
        await route(api, str(tmp_path / "new"), "intent/2")
        async with api.services.database.write() as connection:
            await deployments.write_actual(
                connection, "default", "intent", actual_spec=DeploymentSpec(version="intent/2")
            )
        api.services.news.tell("deployment:default/intent")
        return await asked

    answer = api.run(body())

    assert (answer.status_code, answer.json()["code"]) == (404, "model-not-found")


def test_requests_that_wait_for_a_model_are_refused_when_the_worker_stops(api: Api) -> None:
    api.add_deployment("intent", "loading")

    async def body() -> httpx.Response:
        asked = asyncio.create_task(predict(api))
        await asyncio.sleep(0.1)
        api.services.drain.begin()
        return await asked

    answer = api.run(body())

    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
    assert "retry-after" in answer.headers


def test_texts_that_wait_for_a_model_are_bounded_by_their_size(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_MAX_WAITING_CHARACTERS", 100)
    api.add_deployment("intent", "idle")
    long = {"model": "intent", "inputs": ["x" * 60]}

    async def body() -> list[httpx.Response]:
        async with FakeEngine(tmp_path / "a") as engine:
            with supervisor_socket(api) as socket:
                first = asyncio.create_task(predict(api, long))
                await received(socket)
            refused, short = await predict(api, long), asyncio.create_task(predict(api))
            await asyncio.sleep(0)
            await route(api, engine.socket)
            api.services.news.tell("deployment:default/intent")
            return [refused, await first, await short, await predict(api, long)]

    refused, *answers = api.run(body())

    assert (refused.status_code, refused.json()["code"]) == (503, "model-loading")
    assert [answer.status_code for answer in answers] == [200] * 3


def test_a_route_that_changes_while_it_is_read_is_read_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.add_deployment("intent", "ready", (str(tmp_path / "old"),))
    read = deployments.routes_to

    async def overtaken(*given: Any) -> Any:
        found = await read(*given)
        monkeypatch.setattr(deployments, "routes_to", read)
        await route(api, str(tmp_path / "new"), "intent/2")
        api.services.news.tell("deployment:default/intent")
        return found

    monkeypatch.setattr(deployments, "routes_to", overtaken)

    async def body() -> httpx.Response:
        async with (
            FakeEngine(tmp_path / "old"),
            FakeEngine(tmp_path / "new", lambda message: answered(message, "intent/2")),
        ):
            await predict(api)
            return await predict(api)

    assert api.run(body()).json()["version"] == "intent/2"


def test_a_deployment_that_can_not_be_woken_says_why(api: Api) -> None:
    api.add_deployment("intent", "idle")

    async def body() -> httpx.Response:
        asked = asyncio.create_task(predict(api))
        with supervisor_socket(api) as socket:
            await received(socket)
        async with api.services.database.write() as connection:
            await deployments.write_actual(connection, "default", "intent", status="failed")
        api.services.news.tell("deployment:default/intent")
        return await asked

    answer = api.run(body())

    assert (answer.status_code, answer.json()["code"]) == (503, "model-unavailable")


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"inputs": []}, 422, "empty-batch", "/inputs"),
        ({"inputs": ["x"] * 257}, 413, "batch-too-large", "/inputs"),
        ({"inputs": ["a", "b", "c", None]}, 422, "schema-violation", "/inputs/3"),
        ({"inputs": ["a", ["b"]]}, 422, "schema-violation", "/inputs/1"),
        ({"inputs": ["a", "b", "c", ""]}, 422, "empty-text", "/inputs/3"),
        ({"inputs": ["a", "\u3000\n "]}, 422, "empty-text", "/inputs/1"),
        ({"inputs": ["x" * 100_001]}, 413, "text-too-large", "/inputs/0"),
        ({"inputs": ["x" * 400_000]}, 413, "body-too-large", None),
        ({"inputs": ["a"], "model": "nobody"}, 404, "model-not-found", None),
        ({"inputs": ["a"], "model": "../x\0"}, 404, "model-not-found", None),
        ({"inputs": ["a"], "top_k": 0}, 422, "out-of-range", "/top_k"),
        ({"inputs": ["a"], "top_k": -1}, 422, "out-of-range", "/top_k"),
        ({"inputs": ["a"], "return": ["weights"]}, 422, "unknown-field", "/return"),
    ],
)
def test_bad_prediction_is_refused(
    calm_api: Api, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    answer = calm_api.post("/predict", {"model": "intent", **body})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert [error["pointer"] for error in problem["errors"]] == ([pointer] if pointer else [])


@pytest.mark.parametrize("deadline", ["0", "-5", "abc", "1e12", "600001", "²"])
def test_bad_deadline_is_refused(calm_api: Api, deadline: str) -> None:
    headers = {"X-Request-Timeout-Ms": deadline.encode()}

    answer = calm_api.post("/predict", BODY, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-deadline")
