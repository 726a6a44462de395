"""Augmentation: what training adds to its rows, and hides of them. Nothing else sees it."""

import re
from collections.abc import Sequence

import torch

from tunery_trainer.data import Batch

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

    def __init__(
        self, share: float, *, mask_id: int | None, special_ids: Sequence[int], device: torch.device
    ) -> None:
        self._share = share
        self._mask_id = mask_id
        self._special = torch.tensor(special_ids, dtype=torch.int64, device=device)

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with other tokens masked each time, by torch's random state."""
        if not self._share or self._mask_id is None:
            return batch
        drawn = torch.rand(batch.input_ids.shape, device=batch.input_ids.device) < self._share
        hidden = drawn & ~torch.isin(batch.input_ids, self._special)  # (B, T)
        return batch._replace(input_ids=batch.input_ids.masked_fill(hidden, self._mask_id))
