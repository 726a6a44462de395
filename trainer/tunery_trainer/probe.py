"""The linear probe: a head that knows what the untrained encoder's features say about the labels.

A fine-tune that starts from a random head first bends the encoder to it, and loses some of what the
base model knew. Source: Kumar et al. 2022, arXiv:2202.10054, LP-FT.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tunery_trainer.data import TokenRows
from tunery_trainer.model import Classifier, linear_of
from tunery_trainer.padding import BATCH_ROWS, MAX_TOKENS, length_batches

INVERSE_REGULARISATION = 10.0  # of features of unit scale; measured on BANKING77
_MAX_ITERATIONS = 200
_TOLERANCE = 1e-3


def probe_head(
    classifier: Classifier,
    rows: TokenRows,
    *,
    max_length: int,
    pad_id: int,
    device: torch.device,
    alive: Callable[[], None],
) -> None:
    """Set the head to a logistic regression on the encoder's features of the training rows.

    `alive` is called before each batch, and may raise.
    """
    features = _features(
        classifier, rows, max_length=max_length, pad_id=pad_id, device=device, alive=alive
    )
    alive()
    spread = float(features.var(axis=0).sum())
    if not 0 < spread < float("inf") or len(np.unique(rows.labels)) < 2:
        return  # nothing to tell labels apart by; the first loss will say what is wrong
    fitted = LogisticRegression(
        C=INVERSE_REGULARISATION / spread,
        max_iter=_MAX_ITERATIONS,
        tol=_TOLERANCE,
    ).fit(features, rows.labels)
    weight, bias = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
    if len(weight) == 1:  # of two classes it keeps one row: the odds of the second
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    linear = linear_of(classifier.head)
    with torch.no_grad():
        # A label that no training row has keeps its random row.
        linear.weight[fitted.classes_] = torch.from_numpy(weight).to(linear.weight)
        linear.bias[fitted.classes_] = torch.from_numpy(bias).to(linear.bias)


def _features(
    classifier: Classifier,
    rows: TokenRows,
    *,
    max_length: int,
    pad_id: int,
    device: torch.device,
    alive: Callable[[], None],
) -> NDArray[np.float32]:
    """Return the pooled states (rows, hidden) of all rows, without dropout."""
    found: list[NDArray[np.float32]] = []
    batches = length_batches(
        np.minimum(rows.lengths, max_length),
        max_rows=BATCH_ROWS,
        max_tokens=MAX_TOKENS[device.type],
    )
    was_training = classifier.training
    classifier.eval()
    with torch.inference_mode():
        for indices in batches:
            alive()
            batch = rows.batch(indices, max_length=max_length, pad_id=pad_id, device=device)
            found.append(classifier.pooled(batch.input_ids, batch.attention_mask).cpu().numpy())
    classifier.train(was_training)
    order = np.argsort(np.concatenate(batches))
    return np.asarray(np.concatenate(found)[order])
