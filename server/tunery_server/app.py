"""The application: every route behind one gate, one guard and one set of error answers."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp

from tunery_server import problems
from tunery_server.auth import require_key
from tunery_server.lane import Lane
from tunery_server.limits import Gate
from tunery_server.meter import Meter
from tunery_server.requests import Request
from tunery_server.routes import all_handlers
from tunery_server.services import Services


def create_app(services: Services) -> ASGIApp:
    """Return the application of one worker; its lifespan opens and closes the services."""

    @asynccontextmanager
    async def serving(_app: Litestar) -> AsyncGenerator[None]:
        await services.open()
        yield
        await services.close()

    app = litestar_app(State({"services": services}), lifespan=serving)
    return Meter(Gate(Lane(app), services), services.figures)


def litestar_app(
    state: State,
    *,
    lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]] | None = None,
    openapi_config: OpenAPIConfig | None = None,
) -> Litestar:
    """Return the routes with what applies to all of them."""
    return Litestar(
        route_handlers=all_handlers(),
        request_class=Request,
        guards=[require_key],
        exception_handlers=problems.HANDLERS,
        state=state,
        lifespan=[lifespan] if lifespan else [],
        openapi_config=openapi_config,
        logging_config=None,
        request_max_body_size=None,  # limits.Gate counts, by path
        debug=False,
    )
