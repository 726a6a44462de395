"""Models of `AsyncClient`, see `_resources`."""

from collections.abc import Sequence

from tunery import _calls as calls
from tunery._callers import PAGE, AsyncCaller, AsyncPages
from tunery._inputs import version_of
from tunery.types import BaseModel, Model, ModelVersion, Recipe


class AsyncModels:
    """Models and their versions: `client.models`."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    def list(self, *, after: str | None = None) -> AsyncPages[Model]:
        """Iterate over models, by name."""
        return AsyncPages(
            lambda last: self._caller.send(calls.list_models(limit=PAGE, after=last or after))
        )

    async def get(self, name: str) -> Model:
        """Return a model and its newest version."""
        return await self._caller.send(calls.get_model(name))

    async def version(self, version: str | ModelVersion) -> ModelVersion:
        """Return a version, such as `intent/3`, with its whole lineage."""
        return await self._caller.send(calls.get_model_version(version_of(version)))

    async def base_models(self) -> Sequence[BaseModel]:
        """Return what may be fine-tuned."""
        return (await self._caller.send(calls.list_base_models())).data

    async def recipes(self) -> Sequence[Recipe]:
        """Return the named defaults of a fine-tune, each rule with its source."""
        return (await self._caller.send(calls.list_recipes())).data
