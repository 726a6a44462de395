"""Folds: each part of the rows, and what a logistic regression that has read the others says of it.

Texts that are the same but for case and signs stay in one fold: else the label of one would be
proven by its copy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tunery_trainer.ingest.normalise import Normaliser, hashes
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.probe import logistic_regression
from tunery_trainer.stored_texts import joined
from tunery_trainer.tasks import Text
from tunery_trainer.teacher import stratified_folds


class Said(NamedTuple):
    """What is said of rows by what has not read them.

    Shapes: probabilities (rows, labels) float32; judged (rows,), whether the label that the row has
    was among those read. Of one that was not nothing is known.
    """

    probabilities: NDArray[np.float32]
    judged: NDArray[np.bool_]


def folds_of(
    texts: Sequence[Text], targets: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each row (rows,); every label is spread over as many as it has texts."""
    same = hashes(Normaliser().fold_all([joined(text).encode() for text in texts]))
    _, first, group = np.unique(same, return_index=True, return_inverse=True)
    return stratified_folds(targets[first], folds, seed)[group]


def out_of_fold(
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    labels: int,
    fold: NDArray[np.int64],
    pulse: Pulse,
) -> Said:
    """Return what is said of each row; shapes: features (rows, hidden), targets and fold (rows,).

    Raises:
        LeashReleased: it is time to go.
    """
    said = Said(np.zeros((len(targets), labels), np.float32), np.zeros(len(targets), np.bool_))
    numbers = np.unique(fold).tolist()
    for done, number in enumerate(numbers):

        def alive(done: int = done) -> None:
            pulse.beat("fitting", done, len(numbers))

        left = np.flatnonzero(fold == number)
        read = np.flatnonzero(fold != number)
        present, classes = np.unique(targets[read], return_inverse=True)
        if len(present) > 1:
            weight, bias = logistic_regression(
                torch.from_numpy(features[read]), torch.from_numpy(classes), len(present), alive
            )
            logits = torch.from_numpy(features[left]) @ weight.T + bias  # (B, C)
            said.probabilities[np.ix_(left, present)] = logits.softmax(1).numpy()
        else:
            said.probabilities[np.ix_(left, present)] = 1.0
        said.judged[left] = np.isin(targets[left], present)
    return said
