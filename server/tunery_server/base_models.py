"""Base models: the allowlist of what may be fine-tuned, and where its files stand.

Four sources: `minilm-l6` from an installed package, pinned by hash; directories and hub ids that
the operator lists, which go before it; and `scratch-mini`, which has no files before the trainer
makes them. A hub id is looked up in the local Hugging Face cache;
nothing is downloaded. A user's text is only ever compared with the ids of this list.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tunery.types import BaseModel
from tunery_trainer.protocol.manifest import sha256_of
from tunery_trainer.protocol.minilm import MINILM, MINILM_SHA256, is_complete, package_directory
from tunery_trainer.protocol.recipes import SCRATCH_BASE, SCRATCH_POSITIONS


class BaseModelUnusable(Exception):
    """The files of a base model are missing, or are not the pinned ones."""


class BaseModels:
    """The allowlist; `listed` maps an id to its directory, empty for a hub id."""

    def __init__(self, listed: Mapping[str, str], hub_cache: Path) -> None:
        self._directories: dict[str, Path | None] = {MINILM: package_directory()}
        for model_id, directory in listed.items():
            self._directories[model_id] = (
                Path(directory) if directory else _hub_directory(hub_cache, model_id)
            )
        self._directories[SCRATCH_BASE] = None  # whatever the operator calls so
        self._listed = dict(listed)

    def entries(self) -> list[BaseModel]:
        """Return every id, usable or not."""
        return [
            BaseModel(
                id=model_id,
                description=self._description(model_id),
                source=self._source(model_id),
                available=self.knows(model_id),
            )
            for model_id in self._directories
        ]

    def knows(self, model_id: str) -> bool:
        """Return whether an id is on the list and its files are here, or will be made."""
        if model_id == SCRATCH_BASE:
            return True
        directory = self._directories.get(model_id)
        return directory is not None and is_complete(directory)

    def ids(self) -> list[str]:
        """Return the ids that can be used."""
        return [model_id for model_id in self._directories if self.knows(model_id)]

    def max_positions(self, model_id: str) -> int | None:
        """Return how many tokens the model takes, where its config says so."""
        if model_id == SCRATCH_BASE:
            return SCRATCH_POSITIONS
        directory = self._directories.get(model_id)
        if directory is None or not is_complete(directory):
            return None
        return positions_of(directory)

    def directory(self, model_id: str) -> Path:
        """Return the directory of a usable model; its pinned hash is checked once.

        Raises:
            BaseModelUnusable: a file is missing or is not the pinned one.
        """
        directory = self._directories.get(model_id)
        if directory is None or not is_complete(directory):
            raise BaseModelUnusable(f"the files of {model_id} are not on this machine")
        pinned = model_id == MINILM and model_id not in self._listed
        if pinned and _sha256_once(directory / "model.safetensors") != MINILM_SHA256:
            raise BaseModelUnusable(f"the weights of {model_id} are not the pinned ones")
        return directory

    def directories(self) -> dict[str, str]:
        """Return the directory of every model that can be used and has files, by id."""
        known = {model_id: self._directories[model_id] for model_id in self.ids()}
        return {model_id: str(found) for model_id, found in known.items() if found is not None}

    def _source(self, model_id: str) -> Literal["package", "directory", "hub"]:
        if model_id == SCRATCH_BASE or model_id not in self._listed:
            return "package"
        return "directory" if self._listed[model_id] else "hub"

    def _description(self, model_id: str) -> str:
        if model_id == SCRATCH_BASE:
            return (
                "trains a small encoder and its own tokenizer on your data, for languages that no "
                "installed base covers"
            )
        if self._source(model_id) == "package":
            return "all-MiniLM-L6-v2: English, 6 layers, 22 M parameters, Apache-2.0"
        return "listed by the operator of this service"


def positions_of(directory: Path) -> int | None:
    """Return how many tokens the model of a directory takes, where its config says so."""
    config = json.loads((directory / "config.json").read_text())
    found = config.get("max_position_embeddings")
    return found if isinstance(found, int) else None


def _hub_directory(hub_cache: Path, model_id: str) -> Path | None:
    folder = hub_cache / f"models--{model_id.replace('/', '--')}"
    reference = folder / "refs" / "main"
    if not reference.is_file():
        return None
    return folder / "snapshots" / reference.read_text().strip()


@functools.cache
def _sha256_once(path: Path) -> str:
    return sha256_of(path)
