"""Models: names with immutable, numbered versions."""

from litestar import Response, get
from litestar.params import FromPath

from tunery.types import Model, ModelVersion, Page
from tunery_server.answers import answer
from tunery_server.db.queries import models
from tunery_server.pagination import After, Limit, check_after, is_slug
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request


@get("/models", operation_id="list_models")
async def list_all(
    request: Request, limit: Limit = 20, after: After = None
) -> Response[Page[Model]]:
    """List models, by name."""
    check_after(after, None)
    async with request.services.database.read() as connection:
        page = await models.list_page(connection, request.project, limit=limit, after=after)
    return answer(page)


@get("/models/{name:str}", operation_id="get_model")
async def show(request: Request, name: FromPath[str]) -> Response[Model]:
    """Return a model and its newest version."""
    if is_slug(name):
        async with request.services.database.read() as connection:
            model = await models.get_model(connection, request.project, name)
        if model is not None:
            return answer(model)
    raise Refusal("model-not-found", f"there is no model {quote(name)}")


@get("/models/{name:str}/versions/{number:str}", operation_id="get_model_version")
async def show_version(
    request: Request, name: FromPath[str], number: FromPath[str]
) -> Response[ModelVersion]:
    """Return a version with its whole lineage."""
    version = f"{name}/{number}"
    if is_slug(name) and number.isascii() and number.isdecimal():
        async with request.services.database.read() as connection:
            found = await models.get(connection, request.project, version)
        if found is not None:
            return answer(found)
    raise Refusal("model-not-found", f"there is no version {quote(version)}")


HANDLERS = [list_all, show, show_version]
