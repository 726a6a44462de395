"""Facts: everything that a report tells, as it was measured or recorded."""

import msgspec

from tunery.types import Confusion, Dataset, Evaluation, ModelVersion, Resolved
from tunery_trainer.protocol.wire import Sketched


class Facts(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of an evaluation; what was deleted since is null."""

    evaluation: Evaluation
    dataset: Dataset | None
    version: ModelVersion | None
    resolved: dict[str, Resolved]  # hyperparameters of the fine-tune
    sketch: Sketched | None  # of the rows


class Pair(msgspec.Struct, kw_only=True, frozen=True):
    """Rows of one label that were given another one."""

    true: str
    predicted: str
    rows: int
    share: float  # of the rows that have the true label


def confused_pairs(confusion: Confusion) -> list[Pair]:
    """Return the pairs of labels that are taken for each other, the commonest first."""
    labels = confusion.labels
    found = [
        Pair(true=labels[i], predicted=labels[j], rows=count, share=count / sum(row))
        for i, row in enumerate(confusion.matrix)
        for j, count in enumerate(row)
        if count and i != j
    ]
    return sorted(found, key=lambda pair: -pair.rows)
