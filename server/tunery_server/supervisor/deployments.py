"""Deployments: an actor for each, and the room that they share.

See actor.py for how one comes to serve, and room.py for who leaves when memory is short.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from tunery_server.artifacts import Artifacts
from tunery_server.db.engine import FAILURES, Database
from tunery_server.db.queries import deployments
from tunery_server.settings import Settings
from tunery_server.supervisor.actor import DeploymentActor
from tunery_server.supervisor.attempt import Tell
from tunery_server.supervisor.bell import Bell
from tunery_server.supervisor.engines import EngineStarter
from tunery_server.supervisor.gatekeeper import Gatekeeper
from tunery_server.supervisor.loads import Loader
from tunery_server.supervisor.record import Record
from tunery_server.supervisor.room import Room

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two looks at what engines hold, and whether they are used


class Deployer:
    """Keeps an actor for every deployment."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        artifacts: Artifacts,
        starter: EngineStarter,
        gatekeeper: Gatekeeper,
        bell: Bell,
        tell: Tell,
    ) -> None:
        self._idle_seconds = settings.idle_unload_seconds
        self._database = database
        self._starter = starter
        self._gatekeeper = gatekeeper
        self._bell = bell
        self._tell = tell
        self._room = Room(int(settings.engine_memory), self._look)
        self._loader = Loader(database, artifacts, starter, self._room)
        self._actors: dict[str, DeploymentActor] = {}  # by project/name

    async def forget_last_life(self) -> None:
        """Mark what served as loading: no engine of an earlier life is alive."""
        async with self._database.write() as connection:
            await deployments.clear_routes(connection)
            for row in await deployments.all_rows(connection):
                if row.desired is not None and row.status != "idle":
                    await deployments.write_actual(
                        connection, row.project, row.name, status="loading", actual=None
                    )

    def ask_for(self, owner: str) -> None:
        """Bring back the engines of `project/name`, where they were unloaded."""
        actor = self._actors.get(owner)
        if actor is not None:
            actor.ask_for()

    async def run(self) -> None:
        """Start actors for deployments as they appear, until cancelled."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            while True:
                heard = self._bell.rings
                for row in await self._rows():
                    self._actor(row).notice(row)
                await self._bell.wait(heard)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await asyncio.gather(*(actor.close() for actor in self._actors.values()))
            self._actors.clear()
            await self._starter.close()

    async def _rows(self) -> Sequence[Row[Any]]:
        try:
            async with self._database.read() as connection:
                return await deployments.all_rows(connection)
        except FAILURES:
            logger.exception("the database failed; the engines serve on")
            return ()

    def _actor(self, row: Row[Any]) -> DeploymentActor:
        owner = f"{row.project}/{row.name}"
        known = self._actors.get(owner)
        if known is not None:
            return known
        record = Record(self._database, self._tell, row.project, row.name)
        actor = DeploymentActor(
            row, record, self._gatekeeper, self._loader, self._starter, self._room
        )
        self._actors[owner] = actor
        return actor

    async def _keep_looking(self) -> None:
        """Look at all engines now and then; unload those that nobody uses, if it is so wished."""
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._idle_seconds or LOOK_SECONDS))
            try:
                await self._look()
            except Exception:  # what it sees is news, not life
                logger.exception("could not look at the engines")
            if self._idle_seconds:
                self._room.send_idle_away(self._idle_seconds)

    async def _look(self) -> None:
        await asyncio.gather(*(actor.look() for actor in self._actors.values()))
