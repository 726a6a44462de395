"""Paired: whether one model does worse than another one on the same rows, by more than chance.

Two models that are equally good are called worse, on the whole or in any label, for at most one
pair in twenty: 0.05 is shared out among two tests of the whole and one of all labels together
(Bonferroni), and among the labels by Holm. Everywhere `one` is judged, `other` what it is held
against. Knows no file and no task. Imports no torch.

Source: McNemar 1947, doi:10.1007/BF02295996, exact; Efron and Tibshirani 1993, 13.3 and 16.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

from tunery.types import Change, ChangedLabel, ChangedRows, LossTest
from tunery_trainer.evaluate.bootstrap import redrawn_kinds, redrawn_rows
from tunery_trainer.evaluate.merits import chance_of_better, holm, significant
from tunery_trainer.tasks.figures import Tally

ALPHA_WHOLE = 0.02  # of each of two tests
ALPHA_LABELS = 0.01  # of all labels together

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | int
Cells = Sequence[str]


class Kinds(NamedTuple):
    """Rows that are alike in what is true and in both answers, counted."""

    labels: list[str]
    counts: NDArray[np.int64]  # (kinds,)
    strata: NDArray[np.int64]  # (kinds,)
    truth: csr_array  # (kinds, labels) 0 or 1, as the next two
    one: csr_array
    other: csr_array


class Paired(NamedTuple):
    """What there is to say of both."""

    metrics: dict[str, Change]
    tests: list[LossTest]
    changed: ChangedRows | None = None
    labels: Sequence[ChangedLabel] = ()


def kinds_of(
    truth: Cells, one: Cells, other: Cells, labels_of: Callable[[str], list[str]], *, single: bool
) -> Kinds:
    """Return rows by kind; `single` where each has one label, which is then its stratum."""
    cells, codes = np.unique(np.array([truth, one, other], object), return_inverse=True)
    sets = [labels_of(cell) for cell in cells]
    labels = sorted({label for labels in sets for label in labels})
    places = {label: i for i, label in enumerate(labels)}
    marked = [places[label] for labels in sets for label in labels]
    ends = np.cumsum([0, *map(len, sets)])
    marks = csr_array((np.ones(len(marked)), marked, ends), shape=(len(sets), len(labels)))
    kinds, counts = np.unique(codes.reshape(3, -1), axis=1, return_counts=True)  # (3, kinds)
    strata = kinds[0] if single else np.zeros(len(counts), np.int64)
    return Kinds(labels, counts, strata, *(marks[each] for each in kinds))


def paired_labels(kinds: Kinds, *, single: bool) -> Paired:
    """Return how answers of labels compare; there are rows."""
    whole = _Gaps(kinds, single=single)
    right = [_wrong(kinds, each).sum(axis=1) == 0 for each in (kinds.one, kinds.other)]
    fixed = int(kinds.counts[right[0] & ~right[1]].sum())
    broken = int(kinds.counts[right[1] & ~right[0]].sum())
    chances = {
        "accuracy" if single else "subset_accuracy": float(one_sided(broken, fixed)),
        "macro_f1": whole.chance_of_loss("macro_f1"),
    }
    return Paired(
        metrics=whole.changes(),
        tests=[_test(metric, chance) for metric, chance in chances.items()],
        changed=ChangedRows(fixed=fixed, broken=broken, p_value=float(two_sided(broken, fixed))),
        labels=_changed_labels(kinds),
    )


def paired_numbers(truth: Floats, one: Floats, other: Floats) -> Paired:
    """Return how answers that are numbers compare; shapes: (rows,) each, and there are rows."""
    errors = np.column_stack([one - truth, other - truth])
    columns = np.column_stack([np.abs(errors), np.square(errors)])
    mae, mse = columns.mean(axis=0).reshape(2, 2)
    rmse = np.sqrt(mse)
    drawn = np.concatenate(
        [taken @ columns for taken in redrawn_rows(np.zeros(len(truth), np.int64))]
    ) / len(truth)  # (draws, 4)
    chance = chance_of_better(-np.square(errors[:, 1]), -np.square(errors[:, 0]))
    return Paired(
        metrics={
            "mae": _change(mae[0], mae[1], drawn[:, 0] - drawn[:, 1]),
            "rmse": _change(rmse[0], rmse[1], np.sqrt(drawn[:, 2]) - np.sqrt(drawn[:, 3])),
        },
        tests=[_test("rmse", chance)],
    )


def paired_means(one: Floats, other: Floats, strata: NDArray[np.int64]) -> Change:
    """Return how the means of something that each row has compare; shapes: (rows,) each."""
    drawn = [taken @ (one - other) for taken in redrawn_rows(strata)]
    return _change(one.mean(), other.mean(), np.concatenate(drawn) / len(one))


def one_sided(broken: Counts, fixed: Counts) -> Floats:
    """Return how probable so many broken rows or more are, among those that changed."""
    return np.asarray(stats.binom.sf(np.subtract(broken, 1), np.add(broken, fixed), 0.5))


def two_sided(broken: Counts, fixed: Counts) -> Floats:
    """Return how probable it is that so many more rows changed one way, whichever it is."""
    return np.minimum(1.0, 2 * one_sided(np.maximum(broken, fixed), np.minimum(broken, fixed)))


class _Gaps:
    """The figures of both, and how they differ in each redraw."""

    def __init__(self, kinds: Kinds, *, single: bool) -> None:
        self._kinds, self._single = kinds, single
        every = kinds.counts[None].astype(np.float64)
        self._one, self._other = self._both(every)
        draws = [self._both(taken) for taken in redrawn_kinds(kinds.counts, kinds.strata)]
        self._drawn = {
            name: np.concatenate([one[name] - other[name] for one, other in draws])
            for name in self._one
        }

    def changes(self) -> dict[str, Change]:
        return {
            name: _change(self._one[name][0], self._other[name][0], drawn)
            for name, drawn in self._drawn.items()
        }

    def chance_of_loss(self, name: str) -> float:
        """Return the share of redraws in which the loss is gone."""
        drawn = self._drawn[name]
        # Davison and Hinkley 1997, 4.2.3: a chance is never 0.
        return float((1 + (drawn >= 0).sum()) / (1 + len(drawn)))

    def _both(self, taken: Floats) -> tuple[dict[str, Floats], dict[str, Floats]]:
        return self._figures(taken, self._kinds.one), self._figures(taken, self._kinds.other)

    def _figures(self, taken: Floats, answers: csr_array) -> dict[str, Floats]:
        """Return the figures of rows by kind (draws, kinds): (draws,) each."""
        truth, rows = self._kinds.truth, self._kinds.counts.sum()
        means = Tally(
            hits=_totals(taken, truth * answers),
            support=_totals(taken, truth),
            predicted=_totals(taken, answers),
        ).means()
        wrong = _wrong(self._kinds, answers).sum(axis=1)
        if self._single:
            figures = {"accuracy": taken @ (wrong == 0) / rows}
            return figures | {name: means[name] for name in ("macro_f1", "weighted_f1")}
        figures = {
            "subset_accuracy": taken @ (wrong == 0) / rows,
            "hamming_loss": taken @ wrong / rows / truth.shape[1],
        }
        return figures | {name: means[name] for name in ("micro_f1", "macro_f1")}


def _changed_labels(kinds: Kinds) -> list[ChangedLabel]:
    wrong = [_wrong(kinds, each) for each in (kinds.one, kinds.other)]
    fixed = np.asarray(kinds.counts @ (wrong[1] > wrong[0]), np.int64)  # (labels,)
    broken = np.asarray(kinds.counts @ (wrong[0] > wrong[1]), np.int64)
    # Given how many rows have changed, a label without any is no test.
    places = np.flatnonzero(fixed + broken)
    chances = two_sided(broken[places], fixed[places]).tolist()
    lost = significant(one_sided(broken[places], fixed[places]).tolist(), ALPHA_LABELS)
    f1 = [_f1(kinds, each) for each in (kinds.one, kinds.other)]
    support = kinds.counts @ kinds.truth
    found = [
        ChangedLabel(
            label=kinds.labels[i],
            support=int(support[i]),
            a=f1[0][i],
            b=f1[1][i],
            fixed=int(fixed[i]),
            broken=int(broken[i]),
            p_value=chance,
            corrected=corrected,
            worse=worse,
        )
        for i, chance, corrected, worse in zip(
            places.tolist(), chances, holm(chances), lost, strict=True
        )
    ]
    return sorted(found, key=lambda each: (not each.worse, each.fixed - each.broken))


def _f1(kinds: Kinds, answers: csr_array) -> list[float | None]:
    tally = Tally(
        hits=kinds.counts @ (kinds.truth * answers),
        support=kinds.counts @ kinds.truth,
        predicted=kinds.counts @ answers,
    )
    return [each.f1 for each in tally.per_class(kinds.labels)]


def _wrong(kinds: Kinds, answers: csr_array) -> csr_array:
    """Return where a label is given and not true, or the reverse (kinds, labels)."""
    return abs(kinds.truth - answers)


def _totals(taken: Floats, marks: csr_array) -> Floats:
    """Return the rows of each draw that are marked with each label (draws, labels)."""
    return np.asarray((marks.T @ taken.T).T)


def _change(one: float, other: float, drawn: Floats) -> Change:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Change(
        a=float(one),
        b=float(other),
        difference=float(one - other),
        low=float(low),
        high=float(high),
    )


def _test(metric: str, chance: float) -> LossTest:
    return LossTest(
        metric=metric, p_value=chance, threshold=ALPHA_WHOLE, worse=chance <= ALPHA_WHOLE
    )
