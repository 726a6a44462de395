"""Weights by which classes of few rows count for more."""

import numpy as np
import pytest
import torch

from tunery_trainer.epochs import epoch_batches
from tunery_trainer.imbalance import class_weights_of, sampling_weights_of
from tunery_trainer.tasks import task_named

COUNTS = np.array([900, 100, 0])
LABELS = np.repeat([0, 1], [900, 100])


def test_weights_are_of_the_root_and_one_on_average() -> None:
    weights = class_weights_of(COUNTS, "class_weights")

    assert weights is not None
    assert weights[1] / weights[0] == pytest.approx(3.0)
    assert float((weights[:2] * [900, 100]).sum()) / 1000 == pytest.approx(1.0)


def test_weights_and_sampling_together_balance_the_classes() -> None:
    weights = class_weights_of(COUNTS, "class_weights_and_sampling")
    drawn = sampling_weights_of(COUNTS, LABELS, "class_weights_and_sampling")

    assert weights is not None
    assert drawn is not None
    rows = np.concatenate(
        epoch_batches(np.ones(1000, np.int32), batch_size=16, seed=1, epoch=0, weights=drawn)
    )
    assert len(rows) == 1000
    shares = np.bincount(LABELS[rows], minlength=2) * weights[:2]
    assert shares[0] / shares[1] == pytest.approx(1.0, rel=0.2)


def test_even_classes_have_none() -> None:
    assert class_weights_of(COUNTS, "none") is None
    assert sampling_weights_of(COUNTS, LABELS, "class_weights") is None


def test_a_batch_of_rare_rows_weighs_more_than_another() -> None:
    task = task_named("text_classification")
    weights = torch.tensor([0.5, 2.0])
    logits = torch.zeros(4, 2)

    rare = task.loss(logits, torch.ones(4, dtype=torch.int64), 0.0, weights)
    common = task.loss(logits, torch.zeros(4, dtype=torch.int64), 0.0, weights)

    assert float(rare / common) == pytest.approx(4.0)
