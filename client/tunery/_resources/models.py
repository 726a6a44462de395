"""Models: `client.models`."""

from collections.abc import Sequence

from tunery import _calls as calls
from tunery._callers import PAGE, Caller, Pages
from tunery._inputs import version_of
from tunery.types import BaseModel, Model, ModelVersion, Recipe


class Models:
    """Models and their versions: `client.models`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, after: str | None = None) -> Pages[Model]:
        """Iterate over models, by name."""
        return Pages(
            lambda last: self._caller.send(calls.list_models(limit=PAGE, after=last or after))
        )

    def get(self, name: str) -> Model:
        """Return a model and its newest version."""
        return self._caller.send(calls.get_model(name))

    def version(self, version: str | ModelVersion) -> ModelVersion:
        """Return a version, such as `intent/3`, with its whole lineage."""
        return self._caller.send(calls.get_model_version(version_of(version)))

    def base_models(self) -> Sequence[BaseModel]:
        """Return what may be fine-tuned."""
        return self._caller.send(calls.list_base_models()).data

    def recipes(self) -> Sequence[Recipe]:
        """Return the named defaults of a fine-tune, each rule with its source."""
        return self._caller.send(calls.list_recipes()).data
