"""The linear probe: a head that knows what the untrained encoder's features say about the labels.

A fine-tune that starts from a random head first bends the encoder to it, and loses some of what the
base model knew. Source: Kumar et al. 2022, arXiv:2202.10054, LP-FT.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from tunery_trainer.model import Classifier, linear_of

INVERSE_REGULARISATION = 10.0  # of features of unit scale; measured on BANKING77
_MAX_ITERATIONS = 200
_TOLERANCE = 1e-3


def probe_head(
    classifier: Classifier, features: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    """Set the head to a logistic regression on the encoder's features of the training rows.

    Shapes: features (rows, hidden), labels (rows,).
    """
    from sklearn.linear_model import LogisticRegression  # a second, which few runs need

    spread = float(features.var(axis=0).sum())
    if not 0 < spread < float("inf") or len(np.unique(labels)) < 2:
        return  # nothing to tell labels apart by; the first loss will say what is wrong
    fitted = LogisticRegression(
        C=INVERSE_REGULARISATION / spread,
        max_iter=_MAX_ITERATIONS,
        tol=_TOLERANCE,
    ).fit(features, labels)
    weight, bias = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
    if len(weight) == 1:  # of two classes it keeps one row: the odds of the second
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    linear = linear_of(classifier.head)
    with torch.no_grad():
        # A label that no training row has keeps its random row.
        linear.weight[fitted.classes_] = torch.from_numpy(weight).to(linear.weight)
        linear.bias[fitted.classes_] = torch.from_numpy(bias).to(linear.bias)
