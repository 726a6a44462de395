"""Engines: the API's side of the wire. One connection per engine socket, many requests on it.

Owns which engine a model's requests go to. The route is read from the database once and kept
until something speaks against it: news of a deployment, an engine that answers Moved, a
connection that is lost. The engine, not this worker, decides which version answers.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tunery.types import PROBLEMS, Prediction, PredictRequest, TextInput
from tunery_server.db.engine import Database
from tunery_server.db.queries.deployments import Route
from tunery_server.news import DEPLOYMENT, News
from tunery_server.problems import Refusal
from tunery_server.waking import Waking
from tunery_server.wires import Connection
from tunery_trainer.protocol.wire import (
    Answered,
    AnyMessage,
    AnyReply,
    Cancel,
    Moved,
    Predict,
    Refused,
    Reply,
)

T = TypeVar("T", bound=Reply)

READER_SECONDS = 30.0
_MAX_WAITING = 256  # requests of one worker that wait for models
_MAX_WAITING_CHARACTERS = 50_000_000  # of their texts, which are held meanwhile
_SETTLE_SECONDS = 0.05  # between two looks at a route that still names a retired engine
_LATE = ("model-loading", "deadline-exceeded")  # of a request whose time is up
_MIN_PART_INPUTS = 16  # of one replica: fewer fill no batch


class ClientGone(Exception):
    """The client has hung up; there is nobody to answer."""


class Asked(NamedTuple):
    """A prediction that is asked for, until when, and whether its client is gone."""

    project: str
    request: PredictRequest
    give_up_at: float
    gone: asyncio.Future[None]


class Engines:
    """Every engine that this worker talks to."""

    def __init__(
        self, database: Database, news: News, reader: Path, *, draining: Callable[[], bool]
    ) -> None:
        self._news = news
        self._waking = Waking(database, news, draining)
        self._waiting = 0  # requests that know no engine yet
        self._waiting_characters = 0
        self._reader = str(reader)
        self._routes: dict[tuple[str, str], list[Route]] = {}
        self._deployments: dict[tuple[str, str], str] = {}  # whose routes these were last
        self._connections: dict[str, Connection] = {}
        self._opening = asyncio.Lock()
        self._ids = itertools.count(1)
        news.on_news(self._on_news)

    async def predict(
        self,
        project: str,
        request: PredictRequest,
        *,
        timeout_seconds: float,
        gone: asyncio.Future[None],
    ) -> tuple[str, list[Prediction]]:
        """Return the version that answered, and its predictions in the order of the inputs.

        Many inputs are spread over the replicas; all are answered by one version. `gone` is done
        when the client hangs up.

        Raises:
            Refusal: the model does not serve, the engine refused, or the deadline has passed.
            ClientGone: the client has hung up.
        """
        give_up_at = asyncio.get_running_loop().time() + timeout_seconds
        asked = Asked(project, request, give_up_at, gone)
        routes = await self._routes_to(asked)
        parts = _parts(len(request.inputs), len(routes))
        while True:
            asking = [self._predict(asked, part) for part in parts]
            answers = await _all(asking) if len(asking) > 1 else [await asking[0]]
            if len({answer.version for answer in answers}) == 1:
                predictions = [each for answer in answers for each in answer.predictions]
                return answers[0].version, predictions
            # A swap came between them.

    async def _predict(self, asked: Asked, part: slice) -> Answered:
        """Return the answer to a part of a request."""
        lost: set[str] = set()
        try:
            return await self._ask_model(asked, part, lost)
        except Refusal as refusal:
            if not lost or refusal.code not in _LATE:
                raise
            message = "its engine stopped, and there was no time for another"
            raise Refusal("engine-restarted", message) from None

    async def _ask_model(self, asked: Asked, part: slice, lost: set[str]) -> Answered:
        """Ask one engine of a model after the other; note those that are `lost`, by socket."""
        project, request, give_up_at, gone = asked
        clock = asyncio.get_running_loop().time
        deaths = 0  # of engines that had this request: it may be what they die of
        while (left := give_up_at - clock()) > 0:
            routes = await self._routes_to(asked)
            others = [each for each in routes if each.socket not in lost]
            route = self._choose(others or routes)
            message = Predict(
                id=next(self._ids),
                inputs=request.inputs[part],
                first=part.start,
                top_k=request.top_k,
                truncate=request.truncate,
                timeout_ms=max(1, int(left * 1000)),
            )
            try:
                reply = await self._ask(route.socket, message, give_up_at, gone)
            except ConnectionError as error:
                deaths += isinstance(error, ConnectionResetError) and route.socket not in lost
                if deaths > 1:
                    raise Refusal("engine-restarted", "its engine stopped twice") from None
                lost.add(route.socket)
                if all(each.socket in lost for each in routes):  # the supervisor starts another
                    await self._replaced(asked, route)
                else:
                    self._forget(project, request.model)
                continue
            if isinstance(reply, Answered):
                return reply
            if isinstance(reply, Moved):
                await self._replaced(asked, route)
                continue
            raise _refusal(reply)
        raise Refusal("deadline-exceeded", "the model did not answer in time")

    def deployment_of(self, project: str, model: str) -> str:
        """Return the deployment that answered for a model last; empty where none ever has."""
        return self._deployments.get((project, model), "")

    async def ask_reader(self, kind: type[T], message: Callable[[int], AnyMessage]) -> T:
        """Return the reader's answer, of a kind, to a message that is built with its id.

        Raises:
            Refusal: the reader is not there, too slow, or refused.
        """
        loop = asyncio.get_running_loop()
        nobody: asyncio.Future[None] = loop.create_future()
        give_up_at = loop.time() + READER_SECONDS
        try:
            reply = await self._ask(self._reader, message(next(self._ids)), give_up_at, nobody)
        except ConnectionError:
            raise Refusal("engine-restarted", "the reader is not there") from None
        if not isinstance(reply, kind):
            raise _refusal(reply)
        return reply

    async def close(self) -> None:
        """Close every connection."""
        await self._waking.close()
        for connection in list(self._connections.values()):
            await connection.close()
        self._connections.clear()

    async def _routes_to(self, asked: Asked) -> list[Route]:
        project, request, give_up_at, gone = asked
        model = request.model
        known = self._routes.get((project, model))
        if known is not None:
            return known
        characters = sum(map(_characters, request.inputs))
        full = (
            self._waiting >= _MAX_WAITING
            or self._waiting_characters + characters > _MAX_WAITING_CHARACTERS
        )
        if full and self._waking.is_unserved(project, model):
            raise Refusal("model-loading", f"{self._waiting} requests wait for models already")
        search = self._waking.routes(project, model)
        self._waiting += 1
        self._waiting_characters += characters
        try:
            await _first_of(search, gone, give_up_at)
        finally:
            self._waiting -= 1
            self._waiting_characters -= characters
        if search.done():
            found = search.result()
            if self._waking.is_current(found):
                self._routes[project, model] = found.routes
            self._deployments[project, model] = found.routes[0].name
            return found.routes
        if gone.done():
            raise ClientGone
        raise Refusal("model-loading", f"{model} is still being loaded")

    def _choose(self, routes: list[Route]) -> Route:
        if len(routes) == 1:
            return routes[0]
        return min(random.sample(routes, 2), key=lambda route: self._load(route.socket))

    def _load(self, socket: str) -> int:
        connection = self._connections.get(socket)
        return connection.load if connection is not None else 0

    async def _ask(
        self,
        socket: str,
        message: AnyMessage,
        give_up_at: float,
        gone: asyncio.Future[None],
    ) -> AnyReply:
        connection = self._connections.get(socket) or await self._open(socket, give_up_at)
        answer = connection.send(message)
        try:
            await _first_of(answer, gone, give_up_at)
        finally:
            if not answer.done():
                connection.forget(Cancel(id=message.id))
        if answer.done():
            return answer.result()
        if gone.done():
            raise ClientGone
        raise Refusal("deadline-exceeded", "the model did not answer in time")

    async def _open(self, socket: str, give_up_at: float) -> Connection:
        async with self._opening:
            known = self._connections.get(socket)
            if known is not None:
                return known
            left = give_up_at - asyncio.get_running_loop().time()
            connection = await _in_time(Connection.open(socket, self._lost), left)
            self._connections[socket] = connection
            return connection

    def _lost(self, connection: Connection) -> None:
        if self._connections.get(connection.socket) is connection:
            del self._connections[connection.socket]
        stale = [
            key
            for key, routes in self._routes.items()
            if any(route.socket == connection.socket for route in routes)
        ]
        for key in stale:
            del self._routes[key]

    async def _replaced(self, asked: Asked, route: Route) -> None:
        """Wait a little for the model's routes to name another engine."""
        project, model = asked.project, asked.request.model
        self._forget(project, model)
        with self._news.watching(f"{DEPLOYMENT}{project}/{route.name}") as watch:
            if route in await self._routes_to(asked):
                self._forget(project, model)
                left = asked.give_up_at - asyncio.get_running_loop().time()
                await watch.changed(max(0.0, min(left, _SETTLE_SECONDS)))

    def _forget(self, project: str, model: str) -> None:
        self._routes.pop((project, model), None)

    def _on_news(self, key: str) -> None:
        if key.startswith(DEPLOYMENT):
            project = key.removeprefix(DEPLOYMENT).partition("/")[0]
            for known in [known for known in self._routes if known[0] == project]:
                del self._routes[known]


def _characters(each: TextInput) -> int:
    return len(each) if isinstance(each, str) else len(each.text) + len(each.text_pair)


def _parts(inputs: int, replicas: int) -> list[slice]:
    """Return equal parts of some inputs, one a replica where that fills batches."""
    count = max(1, min(replicas, inputs // _MIN_PART_INPUTS))
    bounds = [inputs * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


async def _all(asked: Sequence[Coroutine[Any, Any, Answered]]) -> list[Answered]:
    """Return all answers; where one fails the others are given up."""
    tasks = [asyncio.create_task(each) for each in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _refusal(reply: AnyReply) -> Refusal:
    if isinstance(reply, Refused):
        code = reply.code if _answers(reply.code) else "engine-restarted"
        return Refusal(code, reply.message[:300])
    return Refusal("engine-restarted", "the engine gave an answer of another kind")


def _answers(code: str) -> bool:
    return code in PROBLEMS and PROBLEMS[code].status is not None


async def _first_of(
    answer: asyncio.Future[Any], gone: asyncio.Future[None], give_up_at: float
) -> None:
    """Wait until the answer is there, the client is gone or the time is up."""
    left = give_up_at - asyncio.get_running_loop().time()
    await asyncio.wait((answer, gone), timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)


async def _in_time(opening: Awaitable[Connection], seconds: float) -> Connection:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            return await opening
    raise Refusal("deadline-exceeded", "the model's engine did not take the connection")
