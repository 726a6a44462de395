"""Slices: how a model does on rows of a kind, against all others."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery.types import EvaluationFinding, Slice
from tunery_trainer.evaluate.merits import Merits, chance_of_worse, gap_of, significant
from tunery_trainer.ingest.profile import script_of
from tunery_trainer.tasks import Text

MIN_ROWS = 30  # of a slice, and of the others
LEAST_GAP = 0.05  # that is worth a finding: of a share, or of a squared error in deviations
_ADVICE = (
    "Read its errors; add training rows of this kind, or clean those that are there. Serve such "
    "texts with care until then."
)


class Sliced(NamedTuple):
    """What was found on slices: `chances` are those of being so far behind by luck."""

    slices: list[Slice]
    chances: list[float]


def sliced(texts: Sequence[Text], merits: Merits, metric: str) -> Sliced:
    """Return the slices of rows that are large enough, by length and by script."""
    slices, chances = [], []
    sign = -1.0 if metric == "loss" else 1.0
    whole = [each if isinstance(each, str) else " ".join(each) for each in texts]
    for by, name, inside in _kinds(whole):
        if min(inside.sum(), (~inside).sum()) < MIN_ROWS:
            continue
        own, others = merits[inside], merits[~inside]
        gap = gap_of(own, others)
        low, high = sorted((sign * gap.low, sign * gap.high))
        slices.append(
            Slice(
                by=by,
                name=name,
                rows=int(inside.sum()),
                metric=metric,
                value=sign * float(own.mean()),
                rest=sign * float(others.mean()),
                gap=sign * gap.value,
                low=low,
                high=high,
            )
        )
        chances.append(chance_of_worse(own, others))
    return Sliced(slices, chances)


def weak_slices(found: Sliced) -> Iterator[EvaluationFinding]:
    """Yield the slices that are behind by more than chance would have them."""
    for each, stands in zip(found.slices, significant(found.chances), strict=True):
        if stands and abs(each.gap) >= LEAST_GAP:
            yield EvaluationFinding(
                type="weak-slice",
                label=None,
                message=f"{each.by} {each.name}: {each.metric} is {each.value:.3f} on "
                f"{each.rows:,} rows, and {each.rest:.3f} on the others",
                numbers={
                    "rows": each.rows,
                    each.metric: each.value,
                    "rest": each.rest,
                    "gap": each.gap,
                    "gap_low": each.low,
                    "gap_high": each.high,
                },
                advice=_ADVICE,
            )


def _kinds(texts: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    lengths = np.array(list(map(len, texts)), np.int64)
    short, long = (int(each) for each in np.quantile(lengths, (1 / 3, 2 / 3)))
    yield "length", f"up to {short} characters", lengths <= short
    yield "length", f"{short + 1} to {long} characters", (lengths > short) & (lengths <= long)
    yield "length", f"over {long} characters", lengths > long
    scripts = np.array([script_of(text) for text in texts])
    for script in np.unique(scripts).tolist():
        yield "script", script, scripts == script
