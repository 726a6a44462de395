"""The committed contract is the one that the code gives."""

from pathlib import Path

from tunery_server import openapi

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_bytes() == openapi.document(), "run `make openapi`"
