"""The API's own description."""

import asyncio

from litestar import Response, get


@get("/openapi.json", operation_id="openapi", opt={"scope": "predict"})
async def show() -> Response[bytes]:
    """Return this description, OpenAPI 3.1."""
    # Here, because it describes the application that this handler is a part of.
    from tunery_server import openapi

    document = await asyncio.to_thread(openapi.document)
    return Response(document, media_type="application/json")


HANDLERS = [show]
