"""The fit: whether a model has learned too little, or its training rows by heart.

Judged by training, validation and test rows through the same runtime, and by what a linear model
makes of the same test rows.
"""

from collections.abc import Iterator

import numpy as np

from tunery.types import EvaluationFinding, FitVerdict
from tunery_trainer.evaluate.merits import ALPHA, Merits, chance_of_better, gap_of

SAMPLE_ROWS = 1000  # of training and of validation: right to three points
LARGE_GAP = 0.10  # between rows that were trained on and others; a few points are usual
_SMALL_GAP = 0.05
_LEAST_LEAD = 0.02  # of a baseline
_OVER = (
    "Train for fewer epochs or stop early, raise dropout or weight_decay, freeze layers; more "
    "training rows help most."
)
_UNDER = (
    "Train for more epochs or at a higher learning_rate, unfreeze layers, take a larger base model "
    "or the recipe best; check that max_length does not cut off what matters."
)


def judged_fit(
    metric: str,
    *,
    train: Merits,
    validation: Merits | None,
    test: Merits,
    baseline: Merits | None,
) -> FitVerdict:
    """Return the verdict; `baseline` are the merits of the linear model on the test rows."""
    sign = -1.0 if metric == "loss" else 1.0
    gap = gap_of(train, test)
    if gap.low >= LARGE_GAP:
        agrees = validation is None or gap_of(train, validation).value >= _SMALL_GAP
        verdict = "over-fit" if agrees else "unclear"
    elif (
        baseline is not None
        and baseline.mean() - test.mean() >= _LEAST_LEAD
        and chance_of_better(baseline, test) <= ALPHA
    ):
        verdict = "under-fit"
    else:
        verdict = "good"
    return FitVerdict(
        verdict=verdict,
        metric=metric,
        train=sign * float(train.mean()),
        validation=None if validation is None else sign * float(validation.mean()),
        test=sign * float(test.mean()),
        gap=gap.value,
        low=gap.low,
        high=gap.high,
        baseline=None if baseline is None else sign * float(baseline.mean()),
    )


def fit_findings(fit: FitVerdict) -> Iterator[EvaluationFinding]:
    """Yield the finding of a verdict that asks for something."""
    if fit.verdict not in ("over-fit", "under-fit"):
        return
    known = {"train": fit.train, "validation": fit.validation, "test": fit.test}
    numbers = {name: value for name, value in known.items() if value is not None}
    numbers |= {"gap": fit.gap, "gap_low": fit.low, "gap_high": fit.high}
    if fit.verdict == "over-fit":
        message = f"{fit.metric} is {fit.train:.3f} on training rows and {fit.test:.3f} on these"
    else:
        assert fit.baseline is not None
        numbers["tfidf"] = fit.baseline
        message = (
            f"{fit.metric} is {fit.test:.3f}, and a linear model of TF-IDF has {fit.baseline:.3f}"
        )
    advice = _OVER if fit.verdict == "over-fit" else _UNDER
    yield EvaluationFinding(
        type=fit.verdict, label=None, message=message, numbers=numbers, advice=advice
    )


def sample_of(rows: int) -> list[int]:
    """Return which rows are looked at: spread over the split, which may be sorted."""
    chosen = np.linspace(0, rows - 1, min(SAMPLE_ROWS, rows)).astype(np.int64)
    return [int(row) for row in np.unique(chosen)]
