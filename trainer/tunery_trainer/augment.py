"""Augmentation: what training adds to its rows, and hides of them. Nothing else sees it."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from tunery_trainer.data import Batch
from tunery_trainer.vocabulary import unknown_id_of

MASKS = ("[MASK]", "<mask>")  # of BERT and of RoBERTa
_WORD = re.compile(r"[^\W\d_]{3,}|[^\x00-\x7f\W\d_]")  # three letters, or one that is no ASCII


def names_of(labels: Sequence[str]) -> list[str] | None:
    """Return each label as a text, such as `card arrival` of `card_arrival`.

    None where one of them says nothing, such as `1` or `B2`.
    """
    if not all(_WORD.search(label) for label in labels):
        return None
    return [" ".join(re.split(r"[\s_\-./:]+", _words_apart(label))).strip() for label in labels]


def _words_apart(label: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)  # cardArrival


class TokenDropout:
    """Masks a share of the tokens of each row, special ones aside.

    Source: Iyyer et al. 2015, "Deep Unordered Composition Rivals Syntactic Methods", word dropout.
    """

    def __init__(self, tokenizer_file: Path, share: float, device: torch.device) -> None:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        named = [tokenizer.token_to_id(mask) for mask in MASKS]
        # A tokenizer without a mask has a token for what it does not know.
        named.append(unknown_id_of(tokenizer_file, tokenizer))
        self._mask_id = next((each for each in named if each is not None), None)
        added = tokenizer.get_added_tokens_decoder().items()
        special = {number for number, token in added if token.special}
        special.update(tokenizer.encode("").ids)  # what surrounds every text
        self._special = torch.tensor(sorted(special), dtype=torch.int64, device=device)
        self._share = share

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with other tokens masked each time, by torch's random state."""
        if not self._share or self._mask_id is None:
            return batch
        drawn = torch.rand(batch.input_ids.shape, device=batch.input_ids.device) < self._share
        hidden = drawn & ~torch.isin(batch.input_ids, self._special)  # (B, T)
        return batch._replace(input_ids=batch.input_ids.masked_fill(hidden, self._mask_id))
