"""Baselines: what a model has to beat on the same rows, made from the rows that it has learned.

One knows no text; one is TF-IDF of characters with a linear model: logistic regression, or for
numbers ridge regression. scikit-learn is imported where it is used: it takes a second.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunery_trainer.protocol.metrics import figure_of
from tunery_trainer.stored_texts import joined
from tunery_trainer.tasks import Fit, Targets, Task, Text, task_named
from tunery_trainer.teacher import INVERSE_REGULARISATION, new_vectors

MAX_WORK = 80_000_000  # characters times labels, some seconds of one core
_LABELS_OF_FEATURES = 20  # to make the features of a character costs as much as so many labels
_UPDATES, _MIN_EPOCHS, _MAX_EPOCHS = 200_000, 5, 1000
_FAR = 10.0  # a logit that stands for a probability of nearly 1
_SEED = 42


class Vectors(NamedTuple):
    """Rows as TF-IDF, sparse and of length 1."""

    rows: NDArray[np.int64]  # places of the training rows that were read
    train: Any  # (read rows, features)
    held_out: Any  # (rows, features)


class Compared(NamedTuple):
    """What the baselines make of rows."""

    vectors: Vectors
    figures: dict[str, float]  # the primary metric, by baseline
    tfidf: NDArray[np.float32] | None  # logits (rows, outputs); None where it can't learn
    tfidf_rows: int  # that it has read


def compared(
    task: Task,
    texts: Sequence[Text],
    targets: Targets,
    *,
    held_out: Sequence[Text],
    truth: Targets,
    labels: Sequence[str],
    primary: str,
    alive: Callable[[], None],
) -> Compared:
    """Return what the baselines of training rows make of held-out ones; there are rows of both."""
    plain = plain_of(task)
    textless = plain.baseline(targets, len(labels))
    found = {textless.name: np.tile(textless.logits, (len(truth), 1))}
    read = _bounded(texts, task.outputs(len(labels)))
    vectors = _vectors(texts, read, held_out, alive)
    logits = _tfidf(plain, vectors, targets[read], len(labels), alive)
    if logits is not None:
        found["tfidf"] = logits
    figures = {
        name: figure_of(plain.scores(each, truth, labels), primary) for name, each in found.items()
    }
    known = {name: value for name, value in figures.items() if value is not None}
    return Compared(vectors, known, logits, len(read) if logits is not None else 0)


def plain_of(task: Task) -> Task:
    """Return a task with nothing of what was measured on its model's answers."""
    return task_named(task.name, Fit(mean=task.fit.mean, deviation=task.fit.deviation))


def _bounded(texts: Sequence[Text], outputs: int) -> NDArray[np.int64]:
    """Return which rows are read: all, or as many at random as can be learned in seconds."""
    characters = np.array([sum(map(len, each)) for each in texts], np.int64)
    room = MAX_WORK // (outputs + _LABELS_OF_FEATURES)
    order = np.random.default_rng(_SEED).permutation(len(texts))
    fitting = max(1, int(np.searchsorted(np.cumsum(characters[order]), room, side="right")))
    return np.sort(order[:fitting])


def _vectors(
    texts: Sequence[Text],
    read: NDArray[np.int64],
    held_out: Sequence[Text],
    alive: Callable[[], None],
) -> Vectors:
    vectors = new_vectors()
    features = vectors.fit_transform([joined(texts[i]) for i in read])
    alive()
    asked = vectors.transform([joined(each) for each in held_out])
    alive()
    return Vectors(read, features, asked)


def _tfidf(
    task: Task, vectors: Vectors, targets: Targets, labels: int, alive: Callable[[], None]
) -> NDArray[np.float32] | None:
    features, asked = vectors.train, vectors.held_out
    if not task.has_labels:
        return _ridge(features, (targets - task.fit.mean) / task.fit.deviation, asked)
    if targets.ndim == 1:
        return _one_label(features, targets, asked, labels)
    return _several_labels(features, targets > 0, asked, alive)


def _ridge(features: Any, targets: Targets, asked: Any) -> NDArray[np.float32]:
    from sklearn.linear_model import Ridge

    # The intercept by hand: with one, only slower solvers take sparse features.
    middle = targets.mean()
    model = Ridge(alpha=1.0, fit_intercept=False, solver="lsqr")
    model.fit(features, targets - middle)
    return np.asarray(model.predict(asked) + middle, np.float32)[:, None]


def _one_label(
    features: Any, targets: Targets, asked: Any, labels: int
) -> NDArray[np.float32] | None:
    present = np.unique(targets)
    if len(present) < 2:
        return None
    said = _logistic(len(targets)).fit(features, targets).decision_function(asked)
    said = np.column_stack([-said, said]) if said.ndim == 1 else said
    logits = np.full((len(said), labels), said.min() - _FAR, np.float32)
    logits[:, present] = said
    return logits


def _several_labels(
    features: Any, truth: NDArray[np.bool_], asked: Any, alive: Callable[[], None]
) -> NDArray[np.float32]:
    logits = np.empty((asked.shape[0], truth.shape[1]), np.float32)
    for i, column in enumerate(truth.T):
        alive()
        if column.all() or not column.any():
            logits[:, i] = _FAR if column.all() else -_FAR
        else:
            logits[:, i] = _logistic(len(column)).fit(features, column).decision_function(asked)
    return logits


def _logistic(rows: int) -> Any:
    """Return a logistic regression that learns row by row: in seconds where others take minutes."""
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(
        loss="log_loss",
        alpha=1 / (INVERSE_REGULARISATION * rows),
        max_iter=min(_MAX_EPOCHS, max(_MIN_EPOCHS, math.ceil(_UPDATES / rows))),
        tol=None,
        random_state=_SEED,
    )
