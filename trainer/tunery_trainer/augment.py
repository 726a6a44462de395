"""Augmentation: what training hides of its rows. Nothing else sees it."""

from collections.abc import Sequence

import torch

from tunery_trainer.data import Batch


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
