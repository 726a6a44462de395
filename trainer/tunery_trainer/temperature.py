"""Temperature: by what logits are divided so that probabilities mean what they say.

Source: Guo et al. 2017, arXiv:1706.04599. Targets leave room for what has not been seen, as those
of Platt 1999: without it, rows that are all answered right would have certainty for ever.
"""

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 0.2, 5.0  # what is beyond was fitted to rows that are too few


def fitted_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the temperature with the least cross-entropy; 1 where there is nothing to fit.

    Shapes: logits (rows, labels), targets (rows,).
    """
    rows, labels = logits.shape
    if not rows or labels < 2 or not np.isfinite(logits).all():
        return 1.0
    from scipy.optimize import brentq

    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    left = 1 / (rows + 2)  # of a target, for all other labels
    own = centred[np.arange(rows), targets]
    others = (centred.sum(axis=1) - own) / (labels - 1)
    wanted = ((1 - left) * own + left * others).mean()

    def slope(inverse: float) -> float:
        """Return how the cross-entropy changes with the inverse temperature; it only rises."""
        weights = np.exp(inverse * centred)
        expected = (weights * centred).sum(axis=1) / weights.sum(axis=1)
        return float(expected.mean() - wanted)

    coldest, hottest = 1 / LOWEST, 1 / HIGHEST
    if slope(coldest) <= 0:
        return LOWEST
    if slope(hottest) >= 0:
        return HIGHEST
    return 1 / float(brentq(slope, hottest, coldest, xtol=1e-4))
