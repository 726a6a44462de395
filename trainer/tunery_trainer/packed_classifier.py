"""The classifier over packed texts (packing.py): the graph that the compiled runtime runs.

Owns how an encoder is told of texts that lie side by side. That it can be told at all, without
knowing the architecture, is what the export's proof shows: one with relative positions, say,
answers otherwise and is exported with padding.
"""

import torch
from torch import Tensor, nn

from tunery_trainer.model import Classifier


class PackedClassifier(nn.Module):
    """A classifier whose texts share rows."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        # RoBERTa counts positions from after its padding.
        embeddings = getattr(classifier.encoder, "embeddings", None)
        self.first_position = 1 + int(getattr(embeddings, "padding_idx", -1))

    def forward(
        self, input_ids: Tensor, positions: Tensor, segments: Tensor, pool: Tensor
    ) -> Tensor:
        """Return logits.

        Shapes: as of packing.Packed; returns (texts, labels) float32.
        """
        together = segments.unsqueeze(2) == segments.unsqueeze(1)  # (B, T, T)
        kinds = {}
        if self.classifier.separator is not None:
            parts = (input_ids == self.classifier.separator).to(torch.float32).unsqueeze(2)
            before = (together.to(torch.float32) * self._earlier(positions)) @ parts  # (B, T, 1)
            kinds["token_type_ids"] = (before.squeeze(2) > 0).to(torch.int64)
        states = self.classifier.encoder(
            input_ids=input_ids,
            attention_mask=together.unsqueeze(1),
            position_ids=positions + self.first_position,
            **kinds,
        ).last_hidden_state.float()  # (B, T, H)
        mean = pool @ states.reshape(-1, states.shape[-1])  # (N, H)
        return self.classifier.head_of(mean)

    @staticmethod
    def _earlier(positions: Tensor) -> Tensor:
        """Return which tokens lie before each (B, T, T): of one text, that is."""
        return (positions.unsqueeze(1) < positions.unsqueeze(2)).to(torch.float32)
