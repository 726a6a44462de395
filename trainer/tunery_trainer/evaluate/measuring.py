"""Measuring: every figure of an evaluation, with intervals, from what a task answers.

Figures that count come from one function for the rows and for all their redraws; what ranks comes
from scikit-learn. The task's own `scores` are the few that a validation needs.
"""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import stats

from tunery.types import ClassMetrics, Confusion, Metric
from tunery_trainer.evaluate.abstention import risk_area
from tunery_trainer.evaluate.bootstrap import metrics_of, redrawn_confusions, redrawn_rows
from tunery_trainer.evaluate.calibration import bins_of, expected_error
from tunery_trainer.evaluate.ranking import NOBODY, ONE_SIDED, Ranking, mean_of, or_none, ranking_of
from tunery_trainer.protocol.metrics import parted
from tunery_trainer.tasks import Judged, Scores, Targets, Task
from tunery_trainer.tasks.figures import Figures, Tally

TOP = (3, 5)
NOT_OF_LABEL = "no row has this label, or none is given it"
_ONE_LABEL = "all rows have the same label, or are given the same"
_SILENT = "no row is answered"
_SAME = "all rows have the same number"
_SAME_ANSWER = "all rows have the same number, or are given the same"

Floats = NDArray[np.float64]


def measured(
    task: Task,
    logits: NDArray[np.float32],
    targets: Targets,
    judged: Judged,
    labels: Sequence[str],
    primary: str,
) -> Scores:
    """Return every figure of rows, and the `primary` one of a label: logits (rows, outputs)."""
    if not len(targets):
        return task.scores(logits, targets, labels)
    answers = task.answers(logits)
    if not task.has_labels:
        values = answers.sizes[:, 0] * task.fit.deviation + task.fit.mean
        return Figures(metrics=numbers(values, targets, judged.losses))
    if targets.ndim == 1:
        chosen = answers.choices[:, 0]
        return one_label(answers.sizes, chosen, targets, judged, labels, primary)
    given, truth = answers.choices > 0, targets > 0
    return several_labels(answers.sizes, given, truth, judged.losses, labels, primary)


def one_label(
    probabilities: Floats,
    chosen: NDArray[np.int64],
    targets: NDArray[np.int64],
    judged: Judged,
    labels: Sequence[str],
    primary: str,
) -> Figures:
    """Return the figures of rows that have one label each.

    Shapes: probabilities (rows, labels); chosen, targets (rows,).
    """
    count, rows = len(labels), len(targets)
    matrix = np.bincount(targets * count + chosen, minlength=count**2).reshape(count, count)
    tally = Tally.of_confusion(matrix)
    ranking = ranking_of(np.eye(count, dtype=np.bool_)[targets], probabilities)
    confidences, hits = probabilities[np.arange(rows), chosen], chosen == targets
    answered = None if judged.abstained is None else ~judged.abstained
    whole = np.ones((1, rows), np.float32)
    values = _counted(tally) | {
        **_of_label(tally, primary, labels),
        "roc_auc": mean_of(ranking.roc_auc),
        "pr_auc": mean_of(ranking.pr_auc),
        "ece": expected_error(bins_of(confidences, hits)),
        **_top(probabilities, targets),
        **{
            name: value[0]
            for name, value in _by_row(whole, confidences, hits, answered, judged.losses).items()
        },
    }
    drawn_hits, predicted = redrawn_confusions(matrix)
    drawn = Tally(hits=drawn_hits, support=tally.support, predicted=predicted)
    draws = _counted(drawn) | _of_label(drawn, primary, labels)
    parts = [
        _by_row(taken, confidences, hits, answered, judged.losses)
        for taken in redrawn_rows(targets)
    ]
    draws |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    reasons = dict.fromkeys(values, _ONE_LABEL) | {"roc_auc": ONE_SIDED, primary: NOT_OF_LABEL}
    reasons["selective_accuracy"] = _SILENT
    return Figures(
        metrics=metrics_of(_floats(values), draws, reasons),
        per_class=_with_ranking(tally.per_class(labels), ranking),
        confusion=Confusion(labels=list(labels), matrix=matrix.tolist()),
    )


def several_labels(
    probabilities: Floats,
    given: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    losses: Floats,
    labels: Sequence[str],
    primary: str,
) -> Figures:
    """Return the figures of rows that have any number of labels.

    Shapes: probabilities, given, truth (rows, labels); losses (rows,).
    """
    rows = len(truth)
    exact, wrong = (truth == given).all(axis=1), (truth != given).mean(axis=1)
    tally = Tally.of_sets(truth, given)
    ranking = ranking_of(truth, probabilities)
    values = {
        "subset_accuracy": exact.mean(),
        "hamming_loss": wrong.mean(),
        **tally.means(),
        "loss": losses.mean(),
        **_of_label(tally, primary, labels),
        "roc_auc": mean_of(ranking.roc_auc),
        "pr_auc": mean_of(ranking.pr_auc),
    }
    summed = np.column_stack([exact, wrong, losses, truth & given, truth, given]).astype(np.float32)
    sums = np.concatenate(
        [taken @ summed for taken in redrawn_rows(np.zeros(rows, np.int64))]
    ).astype(np.float64)  # (draws, 3 + 3 labels)
    hits, support, predicted = np.split(sums[:, 3:], 3, axis=1)
    drawn = Tally(hits=hits, support=support, predicted=predicted)
    draws = drawn.means() | _of_label(drawn, primary, labels)
    named = zip(("subset_accuracy", "hamming_loss", "loss"), sums[:, :3].T / rows, strict=True)
    reasons = dict.fromkeys(values, ONE_SIDED) | {"pr_auc": NOBODY, primary: NOT_OF_LABEL}
    return Figures(
        metrics=metrics_of(_floats(values), draws | dict(named), reasons),
        per_class=_with_ranking(tally.per_class(labels), ranking),
    )


def numbers(values: Floats, targets: Floats, losses: Floats) -> dict[str, Metric]:
    """Return the figures of rows that have numbers; shapes: (rows,) each.

    In the redraws of `spearman` rows keep the ranks that they have among all.
    """
    ranks = [stats.rankdata(each) for each in (values, targets)]
    # Of what is centred, sums of squares lose nothing.
    answered, true = values - targets.mean(), targets - targets.mean()
    whole = _moments(answered, true, losses, *(each - each.mean() for each in ranks))
    found = _of_moments(whole.mean(axis=0)[None])
    draws = [
        _of_moments(taken.astype(np.float64) @ whole / len(targets))
        for taken in redrawn_rows(np.zeros(len(targets), np.int64))
    ]
    drawn = {name: np.concatenate([each[name] for each in draws]) for name in found}
    reasons = {"r2": _SAME, "pearson": _SAME_ANSWER, "spearman": _SAME_ANSWER}
    return metrics_of({name: float(each[0]) for name, each in found.items()}, drawn, reasons)


def _counted(tally: Tally) -> dict[str, Floats]:
    """Return what follows from counts alone, for one tally or a draw a row.

    Source: Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006 (mcc); Cohen 1960 (kappa).
    """
    hits, support, predicted = tally.hits, tally.support, tally.predicted
    rows = float(support.sum())
    accuracy = hits.sum(axis=-1) / rows
    recalls = hits[..., support > 0] / support[support > 0]
    by_chance = (support * predicted).sum(axis=-1) / rows**2
    true_spread = 1 - (support / rows) @ (support / rows)
    spread = 1 - np.square(predicted / rows).sum(axis=-1)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": recalls.mean(axis=-1),
        **tally.means(),
        "mcc": _quotient(accuracy - by_chance, np.sqrt(true_spread * spread)),
        "kappa": _quotient(accuracy - by_chance, 1 - by_chance),
    }


def _of_label(tally: Tally, name: str, labels: Sequence[str]) -> dict[str, Floats]:
    """Return a figure of one label by its name; nothing where it names one of all rows."""
    figure, label = parted(name)
    return {} if label is None else {name: tally.of_label(figure, labels.index(label))}


def _by_row(
    taken: NDArray[np.float32],
    confidences: Floats,
    hits: NDArray[np.bool_],
    answered: NDArray[np.bool_] | None,
    losses: Floats,
) -> dict[str, Floats]:
    """Return what needs the rows themselves, for each draw: taken (draws, rows), others (rows,)."""
    rows = len(hits)
    found = {"loss": taken @ losses / rows, "aurc": risk_area(confidences, hits, taken)}
    if answered is not None:
        both = np.stack([answered, answered & hits], axis=1)  # (rows, 2)
        given, right = (taken @ both).astype(np.float64).T
        found["coverage"] = given / rows
        found["selective_accuracy"] = _quotient(right, given)
    return found


def _top(probabilities: Floats, targets: NDArray[np.int64]) -> dict[str, float]:
    """Return how often the label is among the most probable ones, where there are more labels."""
    own = probabilities[np.arange(len(targets)), targets][:, None]
    # As predictions rank them: of equal ones the first label is first.
    before = (probabilities > own).sum(axis=1)
    places = np.arange(probabilities.shape[1])
    before += ((probabilities == own) & (places < targets[:, None])).sum(axis=1)
    return {
        f"top_{k}_accuracy": float((before < k).mean()) for k in TOP if probabilities.shape[1] > k
    }


def _moments(answered: Floats, true: Floats, losses: Floats, *ranks: Floats) -> Floats:
    """Return what is summed over rows (rows, 13)."""
    errors = answered - true
    products = [
        each
        for one, other in ((answered, true), ranks)
        for each in (one, other, one * one, other * other, one * other)
    ]
    return np.column_stack([np.abs(errors), np.square(errors), losses, *products])


def _of_moments(means: Floats) -> dict[str, Floats]:
    """Return the figures of means of moments (draws, 13)."""
    mae, squares, losses, *products = means.T
    _, true, _, true_square, _ = products[:5]
    spread = true_square - true**2
    return {
        "mae": mae,
        "rmse": np.sqrt(squares),
        "loss": losses,
        "r2": 1 - _quotient(squares, spread),
        "pearson": _correlation(*products[:5]),
        "spearman": _correlation(*products[5:]),
    }


def _correlation(
    one: Floats, other: Floats, one_square: Floats, other_square: Floats, product: Floats
) -> Floats:
    spreads = np.maximum(one_square - one**2, 0) * np.maximum(other_square - other**2, 0)
    return np.clip(_quotient(product - one * other, np.sqrt(spreads)), -1.0, 1.0)


def _quotient(numerator: Floats, denominator: Floats) -> Floats:
    """Return a quotient, NaN where it is not defined."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    known = np.abs(denominator) > _NOTHING
    return np.asarray(np.divide(numerator, denominator, out=np.full(shape, np.nan), where=known))


_NOTHING = 1e-12  # below it, a spread is what rounding has left


def _floats(values: dict[str, Floats]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _with_ranking(per_class: list[ClassMetrics], ranking: Ranking) -> list[ClassMetrics]:
    return [
        replace(each, roc_auc=or_none(roc_auc), pr_auc=or_none(pr_auc))
        for each, roc_auc, pr_auc in zip(per_class, *ranking, strict=True)
    ]
