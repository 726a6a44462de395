"""Simulate pairs of models, and print how often the gate calls the first one worse.

    python tests/bench/gate.py [PAIRS]        of equal models; a fifth as many with a loss

Each pair answers 3,080 rows of 77 labels, 40 of each, as banking77 has them. Half of the errors
fall on the row's hardest other label, as confused pairs do. Errors of the two models are drawn
apart, or on rows that are hard for both; the latter are what two fine-tunes of one base make.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from tunery_trainer.evaluate.paired import Kinds, Paired, kinds_of, paired_labels

LABELS, ROWS_OF_LABEL = 77, 40
PAIRS = 2000
LOSS = 0.03

Answers = NDArray[np.int64]


class Scene(NamedTuple):
    """How two models err."""

    name: str
    error_rate: float
    shared: float  # of the spread of how hard a row is, what both models feel


SCENES = (
    Scene("apart, 8 % errors", 0.08, 0.0),
    Scene("alike, 8 % errors", 0.08, 0.8),
    Scene("apart, 25 % errors", 0.25, 0.0),
)


def main(pairs: int) -> None:
    """Print both rates of every scene."""
    print(f"{pairs} equal pairs a line and {pairs // 5} with a loss, {LABELS} labels")
    for scene in SCENES:
        equal = np.mean([called_worse(pair) for pair in judged(scene, pairs, loss=0.0)])
        lost = np.mean([called_worse(pair) for pair in judged(scene, pairs // 5, loss=LOSS)])
        print(
            f"{scene.name}: equal pairs called worse {equal:.2%}, a loss of 3 points {lost:.1%}",
            flush=True,
        )


def judged(scene: Scene, pairs: int, *, loss: float) -> Iterator[Paired]:
    """Yield pairs of which the first errs more often by `loss`."""
    generator = np.random.default_rng(42)
    for _ in range(pairs):
        yield paired_labels(simulated(generator, scene, loss), single=True)


def simulated(generator: np.random.Generator, scene: Scene, loss: float) -> Kinds:
    """Return one pair's answers."""
    truth = np.repeat(np.arange(LABELS), ROWS_OF_LABEL)
    shared = generator.standard_normal(len(truth))
    near = (truth + 1 + generator.integers(0, 2, len(truth))) % LABELS
    one, other = (
        _answered(generator, scene, truth, shared, near, rate)
        for rate in (scene.error_rate + loss, scene.error_rate)
    )
    names = [f"label {i:02}" for i in range(LABELS)]
    true, ours, theirs = ([names[i] for i in each.tolist()] for each in (truth, one, other))
    return kinds_of(true, ours, theirs, lambda cell: [cell], single=True)


def called_worse(paired: Paired) -> bool:
    """Return whether a gate with all its rules would refuse."""
    return any(test.worse for test in paired.tests) or any(each.worse for each in paired.labels)


def _answered(
    generator: np.random.Generator,
    scene: Scene,
    truth: Answers,
    shared: NDArray[np.float64],
    near: Answers,
    rate: float,
) -> Answers:
    own = generator.standard_normal(len(truth))
    hardness = np.sqrt(scene.shared) * shared + np.sqrt(1 - scene.shared) * own
    wrong = hardness > NormalDist().inv_cdf(1 - rate)
    anywhere = (truth + generator.integers(1, LABELS, len(truth))) % LABELS
    instead = np.where(generator.random(len(truth)) < 0.5, near, anywhere)
    return np.where(wrong, instead, truth)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
