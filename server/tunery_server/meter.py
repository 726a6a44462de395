"""The meter: times each prediction, from its request's header to its answer's last byte."""

import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from tunery_server.figures import WorkerFigures, observe
from tunery_server.problems import CODE

DEPLOYMENT = "tunery_deployment"  # key of the ASGI scope's state: project and name
ANSWERED = "ok"  # in place of a problem's code
_PATH = "/predict"


class Meter:
    """The outermost layer of the service."""

    def __init__(self, app: ASGIApp, figures: WorkerFigures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != ScopeType.HTTP or scope["path"].rstrip("/") != _PATH:
            await self._app(scope, receive, send)
            return
        if "state" not in scope:
            scope["state"] = {}
        began = time.perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            # What is refused before it is known whose it is has neither project nor deployment.
            project, deployment = scope["state"].get(DEPLOYMENT, ("", ""))
            code = scope["state"].get(CODE, ANSWERED)
            seconds = time.perf_counter() - began
            observe(self._figures.predictions, (project, deployment, code), seconds)
