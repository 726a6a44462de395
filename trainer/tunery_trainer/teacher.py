"""The teacher: TF-IDF of characters and a logistic regression, which a small encoder learns from.

On few texts it is hard to beat, and it knows at once what an encoder without pre-training has to
find out: which short strings speak for which label. scikit-learn is imported where it is used: it
takes a second.
"""

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
INVERSE_REGULARISATION = 10.0  # measured on waimai_10k: tests/bench/RESULTS.md
CHARACTERS = (1, 3)  # of one feature: also where no spaces are written
_MAX_ITERATIONS = 1000


def new_vectors() -> Any:
    """Return what learns the TF-IDF of characters, with nothing learned yet."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True)


class Teacher:
    """What one that has read texts and their labels says of others."""

    def __init__(self, texts: Sequence[str], targets: NDArray[np.int64], labels: int) -> None:
        from sklearn.linear_model import LogisticRegression

        self._labels = labels
        self._present = np.unique(targets)
        self._vectors = new_vectors()
        self._model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=_MAX_ITERATIONS)
        if len(self._present) > 1:
            self._model.fit(self._vectors.fit_transform(texts), targets)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probability of each label (texts, labels)."""
        said = np.zeros((len(texts), self._labels), np.float32)
        if len(self._present) == 1:
            said[:, self._present] = 1.0
        elif len(texts):
            said[:, self._present] = self._model.predict_proba(self._vectors.transform(texts))
        return said


def stratified_folds(targets: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row (rows,), at random; each holds its share of every label."""
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(targets[order], kind="stable")]
    fold = np.empty(len(targets), np.int64)
    fold[order] = np.arange(len(targets)) % folds
    return fold


def unseen(
    texts: Sequence[str],
    targets: NDArray[np.int64],
    labels: int,
    seed: int,
    alive: Callable[[], None],
) -> NDArray[np.float32]:
    """Return what teachers that had not read a text say of it (texts, labels).

    `alive` is called before each of them learns, and may raise to end it.
    """
    fold = stratified_folds(targets, FOLDS, seed)
    said = np.zeros((len(texts), labels), np.float32)
    for number in range(min(FOLDS, len(texts))):
        alive()
        read, left = fold != number, fold == number
        if not read.any():  # there is one text
            said[left] = 1 / labels
            continue
        teacher = Teacher(list(compress(texts, read)), targets[read], labels)
        said[left] = teacher(list(compress(texts, left)))
    return said
