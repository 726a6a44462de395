"""Engines: the API's side of the wire. One connection per engine socket, many requests on it.

Owns which engine a model's requests go to. The route is read from the database once and kept
until something speaks against it: news of a deployment, an engine that answers Moved, a
connection that is lost. The engine, not this worker, decides which version answers.
"""

import asyncio
import contextlib
import itertools
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from tunery.types import PROBLEMS, Prediction, PredictRequest
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments
from tunery_server.db.queries.deployments import Route
from tunery_server.news import News
from tunery_server.problems import Refusal, quote
from tunery_server.wires import Connection
from tunery_trainer.protocol.wire import (
    Answered,
    AnyMessage,
    AnyReply,
    Cancel,
    Moved,
    Predict,
    Refused,
)

READER = "reader.sock"
READER_SECONDS = 30.0
NEWS_PREFIX = "deployment:"
_SETTLE_SECONDS = 0.05  # between two looks at a route that still names a retired engine
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[1-9][0-9]{0,8})?|ckpt_[0-9A-Z]{26}")


class ClientGone(Exception):
    """The client has hung up; there is nobody to answer."""


class Engines:
    """Every engine that this worker talks to."""

    def __init__(self, database: Database, news: News, run_dir: Path) -> None:
        self._database = database
        self._news = news
        self._reader = str(run_dir / READER)
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

        `gone` is done when the client hangs up.

        Raises:
            Refusal: the model does not serve, the engine refused, or the deadline has passed.
            ClientGone: the client has hung up.
        """
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + timeout_seconds
        lost = False
        while (left := give_up_at - clock()) > 0:
            route = self._choose(await self._routes_to(project, request.model))
            message = Predict(
                id=next(self._ids),
                inputs=request.inputs,
                top_k=request.top_k,
                truncate=request.truncate,
                timeout_ms=max(1, int(left * 1000)),
            )
            try:
                reply = await self._ask(route.socket, message, give_up_at, gone)
            except ConnectionError:
                self._forget(project, request.model)
                if lost:
                    raise Refusal("engine-restarted", "its engine stopped twice") from None
                lost = True
                continue
            if isinstance(reply, Answered):
                return reply.version, reply.predictions
            if isinstance(reply, Moved):
                await self._moved(project, request.model, route, give_up_at)
                continue
            raise _refusal(reply)
        raise Refusal("deadline-exceeded", f"after {timeout_seconds * 1000:.0f} ms")

    def deployment_of(self, project: str, model: str) -> str:
        """Return the deployment that answered for a model last; empty where none ever has."""
        return self._deployments.get((project, model), "")

    async def ask_reader(self, message: Callable[[int], AnyMessage]) -> AnyReply:
        """Return the reader's answer to a message, which is built with the id it is given.

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
        if isinstance(reply, Refused):
            raise _refusal(reply)
        return reply

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._connections.values()):
            await connection.close()
        self._connections.clear()

    async def _routes_to(self, project: str, model: str) -> list[Route]:
        known = self._routes.get((project, model))
        if known is not None:
            return known
        unknown = Refusal("model-not-found", f"{quote(model)} is not deployed")
        if _MODEL.fullmatch(model) is None:
            raise unknown
        async with self._database.read() as connection:
            found = await deployments.routes_to(connection, project, model)
            deployment = None if found else await deployments.get(connection, project, model)
        if found:
            self._routes[project, model] = found
            self._deployments[project, model] = found[0].name
            return found
        if deployment is None or deployment.status == "stopped":
            raise unknown
        if deployment.status == "failed":
            code = deployment.error.code if deployment.error else "load-failed"
            raise Refusal("model-unavailable", f"{model} could not be loaded: {code}")
        raise Refusal("model-loading", f"{model} is {deployment.status}")

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
        loop = asyncio.get_running_loop()
        connection = self._connections.get(socket) or await self._open(socket, give_up_at)
        answer = connection.send(message)
        await asyncio.wait(
            (answer, gone),
            timeout=max(0.0, give_up_at - loop.time()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if answer.done():
            return answer.result()
        connection.forget(Cancel(id=message.id))
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

    async def _moved(self, project: str, model: str, route: Route, give_up_at: float) -> None:
        self._forget(project, model)
        with self._news.watching(f"{NEWS_PREFIX}{project}/{route.name}") as watch:
            if route in await self._routes_to(project, model):
                self._forget(project, model)
                left = give_up_at - asyncio.get_running_loop().time()
                await watch.changed(max(0.0, min(left, _SETTLE_SECONDS)))

    def _forget(self, project: str, model: str) -> None:
        self._routes.pop((project, model), None)

    def _on_news(self, key: str) -> None:
        if key.startswith(NEWS_PREFIX):
            project = key.removeprefix(NEWS_PREFIX).partition("/")[0]
            for known in [known for known in self._routes if known[0] == project]:
                del self._routes[known]


def _refusal(reply: AnyReply) -> Refusal:
    if isinstance(reply, Refused):
        code = reply.code if _answers(reply.code) else "engine-restarted"
        return Refusal(code, reply.message[:300])
    return Refusal("engine-restarted", "the engine gave an answer of another kind")


def _answers(code: str) -> bool:
    return code in PROBLEMS and PROBLEMS[code].status is not None


async def _in_time(opening: Awaitable[Connection], seconds: float) -> Connection:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            return await opening
    raise Refusal("deadline-exceeded", "the model's engine did not take the connection")
