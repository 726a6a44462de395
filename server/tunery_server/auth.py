"""Authorisation: every route needs a key but those that say `public` in their `opt`."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from tunery_server.keys import Keys
from tunery_server.problems import Refusal

SCOPES = ("predict", "train", "admin")  # each includes those before it


async def require_key(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Let a request in whose key is wide enough for the route; a route is public only by name.

    Raises:
        Refusal: 400, 401, 403, or 429 where the key asks too often.
    """
    if handler.opt.get("public"):
        return
    sent = [value for name, value in connection.scope["headers"] if name == b"authorization"]
    if len(sent) > 1:
        raise Refusal("ambiguous-credentials", f"{len(sent)} Authorization headers were sent")
    if not sent:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise Refusal("missing-credentials", "no Authorization header", headers=challenge)
    scheme, _, secret = sent[0].partition(b" ")
    keys: Keys = connection.app.state["services"].keys
    key = await keys.find(secret.strip()) if scheme.lower() == b"bearer" else None
    if key is None:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Refusal("invalid-credentials", "no key is like this one", headers=challenge)
    needed = handler.opt.get("scope", "train")
    if SCOPES.index(key.scope) < SCOPES.index(needed):
        raise Refusal("insufficient-scope", f"the scope is {key.scope}; this needs {needed}")
    connection.app.state["services"].quotas.take(key.id)
    connection.scope["auth"] = key
