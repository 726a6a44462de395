"""The temperature: that it is found, that it is served, and that training does not see it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from tunery_trainer.tasks import Fit, task_named
from tunery_trainer.tasks.text_classification import TextClassification, softmax
from tunery_trainer.tasks.texts import Tokens
from tunery_trainer.temperature import HIGHEST, LOWEST, fitted_temperature


def rows(count: int, temperature: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return logits that are so many times too large, and labels drawn as they should be."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2, size=(count, 5))
    chosen = [generator.choice(5, p=row) for row in softmax(logits)]
    return (logits * temperature).astype(np.float32), np.array(chosen)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_or_small_are_found_out(temperature: float) -> None:
    logits, targets = rows(4000, temperature)

    # Of 4,000 rows the temperature is right to some hundredths.
    assert fitted_temperature(logits, targets) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_is_that_of_the_least_log_loss() -> None:
    logits, targets = rows(2000, 2.0)

    best = minimize_scalar(
        lambda t: log_loss(targets, softmax(logits, t)), bounds=(0.5, 5), method="bounded"
    )

    # Targets leave room for two rows more.
    assert fitted_temperature(logits, targets) == pytest.approx(best.x, rel=0.01)


def test_rows_that_are_all_right_are_not_made_certain() -> None:
    """The best probability of 18 right rows of 18 is that of 19 in 20."""
    logits = np.tile(np.array([[2.0, 0.0]], np.float32), (18, 1))

    temperature = fitted_temperature(logits, np.zeros(18, np.int64))

    assert softmax(logits, temperature)[0, 0] == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([[0.01, 0.0]] * 500, LOWEST), ([[0.0, 90.0]] * 500, HIGHEST), ([[np.nan, 0.0]], 1.0)],
)
def test_what_can_not_be_fitted_has_a_bound(logits: list[list[float]], expected: float) -> None:
    found = np.array(logits, np.float32)

    assert fitted_temperature(found, np.zeros(len(found), np.int64)) == expected


def test_no_rows_have_no_temperature() -> None:
    assert fitted_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0


def test_what_is_served_is_calibrated_and_keeps_its_order() -> None:
    task = task_named("text_classification", Fit(temperature=2.0))
    logits = np.array([[4.0, 0.0, 0.0]], np.float32)
    encoded = Tokens(ids=[[1]], truncated=[False])

    [prediction] = task.predictions(logits, encoded, ["a", "b", "c"], top_k=3)

    expected = np.exp(2) / (np.exp(2) + 2)
    assert (prediction.label, prediction.score) == ("a", pytest.approx(expected))
    assert task.answers(logits).sizes[0, 0] == pytest.approx(expected)
    assert task.judged(logits, np.array([0]), ["a", "b", "c"]).losses[0] == pytest.approx(
        -np.log(expected)
    )


def test_tuning_changes_no_figure_of_a_single_label() -> None:
    logits, targets = rows(100, 3.0)
    task = TextClassification()

    calibrated = task.calibrated(logits, targets)

    assert task.tuned(logits, targets) is task
    assert task.fit.temperature == 1.0
    assert calibrated.fit.temperature > 1.5
