"""The vocabulary of a tokenizer: which token stands for what it lacks. Imports no torch."""

from pathlib import Path

import msgspec
from tokenizers import Tokenizer


class _Model(msgspec.Struct, frozen=True):
    unk_token: str | None = None  # WordPiece, WordLevel, BPE
    unk_id: int | None = None  # Unigram


class _TokenizerFile(msgspec.Struct, frozen=True):
    model: _Model


def unknown_id_of(path: Path, tokenizer: Tokenizer) -> int | None:
    """Return the id that a tokenizer.json gives to what its vocabulary lacks, if it has one."""
    model = msgspec.json.decode(path.read_bytes(), type=_TokenizerFile).model
    if model.unk_token is None:
        return model.unk_id
    found: int | None = tokenizer.token_to_id(model.unk_token)
    return found
