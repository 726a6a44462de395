"""Base models: the allowlist."""

from litestar import Response, get

from tunery.types import BaseModelList
from tunery_server.answers import answer
from tunery_server.requests import Request


@get("/base-models", operation_id="list_base_models", sync_to_thread=True)
def list_all(request: Request) -> Response[BaseModelList]:
    """List what may be fine-tuned."""
    return answer(BaseModelList(data=request.services.base_models.entries()))


HANDLERS = [list_all]
