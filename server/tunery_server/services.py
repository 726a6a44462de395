"""Services: what the handlers of one API worker share."""

import asyncio
import os

from tunery_server.artifacts import Artifacts
from tunery_server.base_models import BaseModels
from tunery_server.db.engine import Database
from tunery_server.drain import Drain
from tunery_server.engines import Engines
from tunery_server.figures import WORKER, WorkerFigures, show
from tunery_server.keys import Keys
from tunery_server.news import News
from tunery_server.quotas import Quotas
from tunery_server.settings import Settings
from tunery_trainer.protocol.figures import resident_bytes

MAX_STREAMS = 1000


class Services:
    """One worker's connections, and the little that it remembers."""

    def __init__(self, settings: Settings, base_models: BaseModels) -> None:
        self.settings = settings
        self.base_models = base_models
        self.database = Database(settings.database)
        self.artifacts = Artifacts(settings.artifacts, settings.root)
        self.news = News(settings.run_dir)
        self.keys = Keys(self.database, self.news)
        self.quotas = Quotas(settings.key_requests_per_second)
        self.figures = WorkerFigures()
        self._figures_path = settings.run_dir / WORKER.format(pid=os.getpid())
        self._figures_server: asyncio.Server | None = None
        self.started = False  # once true, /health/ready no longer waits for deployments
        self.streams = 0
        self.drain = Drain()
        self.drain.on_begin(self.news.tell_all)
        self.engines = Engines(
            self.database, self.news, settings.reader_socket, draining=lambda: self.draining
        )

    @property
    def draining(self) -> bool:
        """Whether the worker is stopping: whoever waits for news answers now."""
        return self.drain.begun

    async def open(self) -> None:
        """Begin to listen for news, and to show what is counted."""
        self.news.open()
        self._figures_server = await show(self._figures_path, self._counted)

    async def close(self) -> None:
        """Let go of everything."""
        if self._figures_server is not None:
            self._figures_server.close()
            self._figures_path.unlink(missing_ok=True)
        await self.engines.close()
        await self.keys.close()
        self.news.close()
        await self.database.close()

    async def _counted(self) -> WorkerFigures:
        self.figures.resident_bytes = resident_bytes()
        return self.figures
