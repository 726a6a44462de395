"""What a fine-tune may start from: base models and recipes."""

from litestar import Response, get

from tunery.types import BaseModelList, RecipeList
from tunery_server.answers import answer
from tunery_server.requests import Request
from tunery_trainer.protocol import recipes


@get("/base-models", operation_id="list_base_models", sync_to_thread=True)
def list_all(request: Request) -> Response[BaseModelList]:
    """List what may be fine-tuned."""
    return answer(BaseModelList(data=request.services.base_models.entries()))


@get("/recipes", operation_id="list_recipes", sync_to_thread=False)
def list_recipes() -> Response[RecipeList]:
    """List the named defaults, each rule with its source."""
    return answer(RecipeList(data=recipes.listed()))


HANDLERS = [list_all, list_recipes]
