"""The API's own description."""

import asyncio

from litestar import Response, get

from tunery_server import openapi


@get("/openapi.json", operation_id="openapi", opt={"scope": "predict"})
async def show() -> Response[bytes]:
    """Return this description, OpenAPI 3.1."""
    document = await asyncio.to_thread(openapi.document)
    return Response(document, media_type="application/json")


HANDLERS = [show]
