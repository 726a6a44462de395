"""The vocabulary of a tokenizer: which tokens stand for no text. Imports no torch."""

from pathlib import Path

import msgspec
from tokenizers import Tokenizer

MASKS = ("[MASK]", "<mask>")  # of BERT and of RoBERTa


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


def mask_id_of(path: Path, tokenizer: Tokenizer) -> int | None:
    """Return the id that hides a token: the mask's, or where there is none the unknown token's."""
    named = [tokenizer.token_to_id(mask) for mask in MASKS]
    return next((each for each in named if each is not None), unknown_id_of(path, tokenizer))


def special_ids_of(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of tokens that stand for no text, such as those around every text."""
    added = tokenizer.get_added_tokens_decoder().items()
    special = {number for number, token in added if token.special}
    return sorted(special.union(tokenizer.encode("").ids))
