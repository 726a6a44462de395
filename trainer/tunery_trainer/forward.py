"""Forward: what a model in training says of all rows, without gradients and without dropout.

Draws no random number, so that a run that looks more often trains the same.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunery_trainer.data import TokenRows
from tunery_trainer.padding import BATCH_ROWS, MAX_TOKENS, length_batches


class Forward(Protocol):
    """A pass over all of some rows, whose lengths, padding and device are settled."""

    def __call__(
        self, classifier: nn.Module, output: Callable[[Tensor, Tensor], Tensor], rows: TokenRows
    ) -> NDArray[np.float32]:
        """Return `output` of every row, in their order."""
        ...


def forward_rows(
    classifier: Any,
    output: Callable[[Tensor, Tensor], Tensor],
    rows: TokenRows,
    *,
    max_length: int,
    pad_id: int,
    device: torch.device,
    alive: Callable[[], None],
) -> NDArray[np.float32]:
    """Return the outputs (rows, width) of a classifier in their order; there is a row at least.

    `output` takes input_ids and attention_mask (batch, tokens) and returns (batch, width); `alive`
    is called before each batch, and may raise to end it.
    """
    batches = length_batches(
        np.minimum(rows.lengths, max_length),
        max_rows=BATCH_ROWS,
        max_tokens=MAX_TOKENS[device.type],
    )
    found: list[NDArray[np.float32]] = []
    was_training = classifier.training
    classifier.eval()
    try:
        for indices in batches:
            alive()
            batch = rows.batch(indices, max_length=max_length, pad_id=pad_id, device=device)
            with torch.inference_mode():
                part = output(batch.input_ids, batch.attention_mask)  # (B, W)
            found.append(part.float().cpu().numpy())
    finally:
        classifier.train(was_training)
    return np.asarray(np.concatenate(found)[np.argsort(np.concatenate(batches))])
