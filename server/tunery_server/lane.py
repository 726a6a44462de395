"""The lane: POST /predict past Litestar's routing, whose share of a prediction's cost was a third.

The same guard, decoder and answer as of the route, which stays for the description of the API.
What is refused is answered by the gate, as everywhere before a route is reached.
"""

from litestar import Litestar
from litestar.enums import HttpMethod, ScopeType
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from tunery.types import PredictRequest
from tunery_server.answers import encode
from tunery_server.auth import require_key
from tunery_server.problems import Refusal, fault
from tunery_server.requests import Request, decode
from tunery_server.routes.predict import predicted

_PATH = "/predict"


class Lane:
    """The layer between the gate and Litestar."""

    def __init__(self, litestar: Litestar) -> None:
        self._litestar = litestar
        route = next(each for each in litestar.routes if each.path == _PATH)
        assert isinstance(route, HTTPRoute)
        self._handler, _ = route.route_handler_map["POST"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if (
            scope["type"] != ScopeType.HTTP
            or scope["path"] != _PATH
            or scope["method"] != HttpMethod.POST
        ):
            await self._litestar(scope, receive, send)
            return
        scope["litestar_app"] = self._litestar
        scope["route_handler"] = self._handler
        request = Request(scope, receive, send)
        try:
            await require_key(request, self._handler)
            data = decode(await request.body(), PredictRequest)
            body = encode(await predicted(request, data))
        except Refusal:
            raise
        except Exception as error:
            raise fault(request, error) from error
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
