"""The linear probe: a head that knows what the untrained encoder's features say about the labels.

A fine-tune that starts from a random head first bends the encoder to it, and loses some of what the
base model knew. Source: Kumar et al. 2022, arXiv:2202.10054, LP-FT.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunery_trainer.model import Classifier, linear_of

INVERSE_REGULARISATION = 10.0  # of features of length one; measured on BANKING77
_MAX_ITERATIONS = 300
_TOLERANCE = 1e-4  # of the gradient of the mean loss


def probe_head(
    classifier: Classifier,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    alive: Callable[[], None],
) -> None:
    """Set the head to a logistic regression on the encoder's features of the training rows.

    Shapes: features (rows, hidden) of the classifier's length, labels (rows,). `alive` is called
    before each pass over them, and may raise to end it.
    """
    present, targets = np.unique(labels, return_inverse=True)
    if len(present) < 2 or not np.isfinite(features).all():
        return  # nothing to tell labels apart by; the first loss will say what is wrong
    linear = linear_of(classifier.head)
    device = linear.weight.device
    weight, bias = logistic_regression(
        torch.from_numpy(features).to(device) / classifier.length,  # (N, H)
        torch.from_numpy(targets).to(device),  # (N,)
        len(present),
        alive,
    )
    with torch.no_grad():
        # A label that no training row has keeps its random row.
        rows = torch.from_numpy(present).to(device)
        linear.weight[rows] = weight / classifier.length
        linear.bias[rows] = bias


def logistic_regression(
    features: Tensor, targets: Tensor, classes: int, alive: Callable[[], None]
) -> tuple[Tensor, Tensor]:
    """Return weight (classes, hidden) and bias (classes,) of a logistic regression.

    As scikit-learn states it, in fp32 and on the device of the features: ten times as fast.
    Shapes: features (rows, hidden) of length one, targets (rows,) int64. `alive` is called before
    each pass over them, and may raise to end it.
    """
    weight = features.new_zeros(classes, features.shape[1], requires_grad=True)
    bias = features.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=_TOLERANCE,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        alive()
        optimizer.zero_grad()
        logits = features @ weight.T + bias  # (N, C)
        errors = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        loss = (INVERSE_REGULARISATION * errors + 0.5 * weight.pow(2).sum()) / len(features)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
