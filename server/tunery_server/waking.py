"""Waking: the engines of a model that this worker knows no route to.

Reads the routes from the database. Where there are none it has the supervisor bring back what is
idle, and waits for what is being loaded; all requests for a model wait together.
"""

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple

from tunery.types import Deployment
from tunery_server.db.engine import Database
from tunery_server.db.queries import deployments
from tunery_server.db.queries.deployments import Route
from tunery_server.news import DEPLOYMENT, REPAIR_SECONDS, News
from tunery_server.problems import Refusal, quote

_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[1-9][0-9]{0,8})?|ckpt_[0-9A-Z]{26}")


class Found(NamedTuple):
    """The engines of a model, and how much news of deployments there had been before the look."""

    routes: list[Route]
    heard: int


class Waking:
    """What is being waited for in this worker."""

    def __init__(self, database: Database, news: News, draining: Callable[[], bool]) -> None:
        self._database = database
        self._news = news
        self._draining = draining
        self._searches: dict[tuple[str, str], asyncio.Task[Found]] = {}
        self._unserved: set[tuple[str, str]] = set()
        self._heard = 0
        news.on_news(self._on_news)

    def is_current(self, found: Found) -> bool:
        """Return whether nothing was heard since it was looked for, so that it may be kept."""
        return found.heard == self._heard

    def is_unserved(self, project: str, model: str) -> bool:
        """Return whether a model is known to have no engine yet."""
        return (project, model) in self._unserved

    def routes(self, project: str, model: str) -> "asyncio.Task[Found]":
        """Return the search for the engines of a model, which ends when there are some.

        Raises, as its result:
            Refusal: the model is not deployed, or could not be loaded.
        """
        key = project, model
        search = self._searches.get(key)
        if search is None:
            search = self._searches[key] = asyncio.create_task(self._search(project, model))
            search.add_done_callback(lambda done: self._forget(key, done))
        return search

    async def close(self) -> None:
        """End all searches."""
        searches = list(self._searches.values())
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)

    async def _search(self, project: str, model: str) -> Found:
        unknown = Refusal("model-not-found", f"{quote(model)} is not deployed")
        if _MODEL.fullmatch(model) is None:
            raise unknown
        heard = self._heard
        async with self._database.read() as connection:
            found = await deployments.routes_to(connection, project, model)
            name = None if found else await deployments.name_of(connection, project, model)
        if found:
            return Found(found, heard)
        if name is None:
            raise unknown
        with self._news.watching(f"{DEPLOYMENT}{project}/{name}") as watch:
            while True:
                heard = self._heard
                async with self._database.read() as connection:
                    found = await deployments.routes_to(connection, project, model)
                    serving = await deployments.name_of(connection, project, model)
                    deployment = await deployments.get(connection, project, name)
                if found:
                    return Found(found, heard)
                if serving != name:  # it serves another version by now
                    return await self._search(project, model)
                if deployment is None or deployment.status == "stopped":
                    raise unknown
                if deployment.status == "failed":
                    raise Refusal("model-unavailable", _reason(deployment))
                if self._draining():
                    raise Refusal("draining", f"{name} is not loaded any more")
                self._unserved.add((project, model))
                # One that loads may be a sleeping one whose next version is not there yet.
                if deployment.status in ("idle", "loading"):
                    self._news.want(f"{project}/{name}")
                await watch.changed(REPAIR_SECONDS)

    def _forget(self, key: tuple[str, str], search: "asyncio.Task[Found]") -> None:
        del self._searches[key]
        self._unserved.discard(key)
        if not search.cancelled():
            search.exception()  # whoever waited may be gone: it counts as seen

    def _on_news(self, key: str) -> None:
        self._heard += key.startswith(DEPLOYMENT)


def _reason(deployment: Deployment) -> str:
    code = deployment.error.code if deployment.error else "load-failed"
    return f"{deployment.name} could not be loaded: {code}"
