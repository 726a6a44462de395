"""Abstaining: thresholds by hand and by simulation, what is served, and a whole run."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta
from tests.trainer.tiny_model import Bench, of_kind

from tunery.types import AbstainByCost, AbstainByCoverage, AbstainByPrecision, Hyperparameters
from tunery_trainer.abstention import ALWAYS, NEVER, fitted_thresholds
from tunery_trainer.evaluate import program
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol.applicability import CONFIDENCE, rows_to_show, unfit_abstention
from tunery_trainer.protocol.events import Evaluated, Finetuned, WarningRaised
from tunery_trainer.tasks import Fit
from tunery_trainer.tasks.multi_label import MultiLabel
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.tasks.texts import Tokens

HALF = AbstainByPrecision(precision=0.5)


def fitted(
    wanted: AbstainByPrecision | AbstainByCost | AbstainByCoverage,
    rows: list[tuple[float, int, bool]],
    labels: int = 1,
) -> list[float]:
    scores, chosen, hits = zip(*rows, strict=True)
    return fitted_thresholds(wanted, np.array(scores), np.array(chosen), np.array(hits), labels)


def test_threshold_is_below_the_last_prefix_that_shows_the_precision() -> None:
    """4 of 4 right has a chance of 1/16 at 0.5, 4 of 5 of 6/32: more than a tenth."""
    hits = [True, True, True, True, False, False]
    rows = [(0.9 - i / 10, 0, hit) for i, hit in enumerate(hits)]

    assert fitted(HALF, rows) == pytest.approx([0.55])


def test_class_that_shows_it_by_itself_has_a_threshold_of_its_own() -> None:
    rows = [(0.9 - i / 10, 0, True) for i in range(6)]
    rows += [(0.85, 1, False), (0.75, 1, False), (0.65, 1, False), (0.55, 1, False)]

    # 6 of 10 together show nothing: no threshold is shared.
    assert fitted(HALF, rows, 3) == [ALWAYS, NEVER, NEVER]


def test_class_without_rows_shares_the_threshold_of_all() -> None:
    rows = [(0.9, 0, True), (0.9, 1, True), (0.9, 0, True), (0.8, 1, True), (0.5, 0, False)]

    assert fitted(HALF, rows, 3) == pytest.approx([0.65, 0.65, 0.65])


def test_class_whose_answers_disprove_it_is_answered_above_a_higher_one() -> None:
    """1 of 7 right has a chance of 8/128 at 0.5; 1 of 2 is what was wanted."""
    rows = [(0.9 - i / 100, 0, True) for i in range(20)]
    rows += [(0.95, 1, True), *((0.8 - i / 100, 1, False) for i in range(6))]

    assert fitted(HALF, rows, 2) == pytest.approx([ALWAYS, 0.795])


def test_class_that_is_never_right_is_never_answered() -> None:
    rows = [(0.9 - i / 100, 0, True) for i in range(20)]
    rows += [(0.8 - i / 100, 1, False) for i in range(5)]

    assert fitted(HALF, rows, 2) == [ALWAYS, NEVER]


def test_rows_of_the_same_score_are_answered_together() -> None:
    rows = [*((0.9, 0, True) for _ in range(4)), (0.9, 0, False), (0.4, 0, True)]

    # 5 of 6 has a chance of 7/64 at 0.5, 4 of 5 of 6/32.
    assert fitted(HALF, rows) == [NEVER]


def test_cost_is_chows_rule() -> None:
    wanted = AbstainByCost(cost_of_error=5.0, cost_of_abstaining=1.0)

    assert fitted(wanted, [(0.5, 0, True)], 2) == pytest.approx([0.8, 0.8])
    assert fitted(AbstainByCost(cost_of_error=1.0, cost_of_abstaining=2.0), [(0.5, 0, True)]) == [0]


@pytest.mark.parametrize(
    ("coverage", "expected"), [(0.4, 0.75), (0.5, 0.65), (0.61, 0.55), (0.99, ALWAYS)]
)
def test_coverage_is_that_share_of_the_rows_or_a_little_more(
    coverage: float, expected: float
) -> None:
    rows = [(0.9 - i / 10, 0, True) for i in range(5)]

    assert fitted(AbstainByCoverage(coverage=coverage), rows)[0] == pytest.approx(expected)


@pytest.mark.parametrize("precision", [0.5, 0.9, 0.95, 0.99])
def test_so_many_right_rows_and_no_fewer_show_a_precision(precision: float) -> None:
    rows = rows_to_show(precision)

    # The one-sided bound of Clopper and Pearson where all are right.
    assert beta.ppf(1 - CONFIDENCE, rows, 1) >= precision
    assert beta.ppf(1 - CONFIDENCE, rows - 1, 1) < precision
    wanted = AbstainByPrecision(precision=precision)
    assert fitted(wanted, [(0.9, 0, True)] * rows) == [ALWAYS]
    assert fitted(wanted, [(0.9, 0, True)] * (rows - 1)) == [NEVER]


def drawn(
    generator: np.random.Generator, rows: int, shifts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return scores, labels, and how probable each answer is right: classes are over-confident."""
    chosen = generator.integers(len(shifts), size=rows)
    scores = np.clip(1 - generator.beta(0.5, 3, rows), 1e-6, 1 - 1e-6)
    odds = np.log(scores / (1 - scores)) + shifts[chosen]
    return scores, chosen, 1 / (1 + np.exp(-odds))


def test_other_rows_are_answered_as_precisely_as_was_wanted() -> None:
    """At 90 % confidence, 60 draws may miss it 6 times; the share itself would 30 times."""
    missed, coverage = 0, []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        shifts = generator.normal(0, 0.8, 5)
        scores, chosen, right = drawn(generator, 1000, shifts)
        hits = generator.random(1000) < right
        found = fitted_thresholds(AbstainByPrecision(precision=0.9), scores, chosen, hits, 5)

        scores, chosen, right = drawn(generator, 50_000, shifts)
        answered = scores > np.array(found)[chosen]
        missed += right[answered].mean() < 0.9
        coverage.append(answered.mean())

    assert missed <= 6
    assert np.mean(coverage) > 0.7


def test_a_fit_of_before_answers_always() -> None:
    task = TextClassification(msgspec.json.decode(b'{"temperature":2.0}', type=Fit))
    logits = np.zeros((1, 2), np.float32)

    [prediction] = task.predictions(logits, Tokens(ids=[[1]], truncated=[False]), ["a", "b"], 1)

    assert (prediction.decision, prediction.reject_reason) == ("answer", None)
    assert task.judged(logits, np.array([0]), ["a", "b"]).abstained is None


def test_abstention_is_by_the_threshold_of_the_best_label_and_tells_it() -> None:
    """Probabilities of "a" are 0.6, 0.4 and 0.9, of "b" the rest."""
    task = TextClassification(Fit(thresholds=[0.7, 0.5]))
    logits = np.log(np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1]])).astype(np.float32)
    tokens = Tokens(ids=[[1]] * 3, truncated=[False] * 3)

    found = task.predictions(logits, tokens, ["a", "b"], 2)
    judged = task.judged(logits, np.array([0, 1, 0]), ["a", "b"])

    assert [each.decision for each in found] == ["abstain", "answer", "answer"]
    assert [each.reject_reason for each in found] == ["low_confidence", None, None]
    assert [each.label for each in found] == ["a", "b", "a"]
    assert found[0].score == pytest.approx(0.6)
    assert judged.abstained is not None
    assert judged.abstained.tolist() == [True, False, False]


def test_the_surest_answer_of_a_class_that_is_never_answered_is_not_given() -> None:
    task = TextClassification(Fit(thresholds=[NEVER, ALWAYS]))
    tokens = Tokens(ids=[[1]] * 2, truncated=[False] * 2)

    found = task.predictions(np.array([[900, 0], [0, 0.1]], np.float32), tokens, ["a", "b"], 1)

    assert [each.decision for each in found] == ["abstain", "answer"]


def test_several_labels_are_given_from_where_they_show_the_precision() -> None:
    """The first label is right in its 4 surest rows, the second one in none."""
    logits = np.array([[4, 1], [3, 1], [2, 1], [1, 1], [0, 1], [-1, 1]], np.float32)
    targets = np.array([[1, 0]] * 4 + [[0, 0]] * 2, np.float32)

    first, second = MultiLabel(Fit()).abstaining(logits, targets, HALF).fit.thresholds

    assert first == pytest.approx((1 / (1 + np.exp(-1)) + 0.5) / 2)
    assert second == NEVER


@pytest.mark.parametrize(
    ("task", "wanted", "rows", "code"),
    [
        ("regression", HALF, 1000, "not-for-task"),
        ("multi_label", AbstainByCost(cost_of_error=2.0), 1000, "not-for-task"),
        ("text_classification", HALF, 3, "too-few-validation-rows"),
        ("text_classification", AbstainByCost(cost_of_error=2.0), 0, "too-few-validation-rows"),
        ("multi_label", HALF, 1, None),
        ("text_classification", HALF, 4, None),
    ],
)
def test_what_can_not_be_fitted_is_refused(
    task: str, wanted: AbstainByPrecision | AbstainByCost, rows: int, code: str | None
) -> None:
    found = unfit_abstention(task, wanted, rows, Hyperparameters())  # type: ignore[arg-type]

    assert (found and found.code) == code


def test_validation_rows_that_are_trained_on_show_nothing() -> None:
    asked = Hyperparameters(train_on_validation=True)

    found = unfit_abstention("text_classification", HALF, 100, asked)

    assert found is not None
    assert found.code == "schema-violation"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("abstaining"))


def test_a_run_stores_thresholds_and_its_evaluation_tells_what_they_do(bench: Bench) -> None:
    """The hyperparameters leave the model unsure, and half of the rows is to be answered."""
    wanted = AbstainByCoverage(coverage=0.5)
    weak = Hyperparameters(epochs=1, learning_rate=1e-3, freeze=(), refit=False)
    events = bench.run(bench.spec(abstain=wanted, hyperparameters=weak))
    [done] = of_kind(events, Finetuned)

    facts = read_facts(bench.directory / "work/version")
    spec = bench.evaluation(done)
    evaluated: list[object] = []
    program.run(spec, evaluated.append, lambda: False)
    [found] = [each for each in evaluated if isinstance(each, Evaluated)]

    assert facts.abstain == wanted
    assert len(set(facts.fit.thresholds)) == 1
    assert found.abstention is not None
    assert found.abstention.wanted == wanted
    answered = sum(each.answered for each in found.abstention.labels)
    assert (answered, sum(each.rows for each in found.abstention.labels)) == (11, 21)
    coverage, selective = found.metrics["coverage"], found.metrics["selective_accuracy"]
    assert coverage.value == pytest.approx(11 / 21)
    assert coverage.low is not None
    assert coverage.high is not None
    assert coverage.low < coverage.value < coverage.high
    assert selective.value is not None
    assert 0 <= selective.value <= 1


def test_few_shot_keeps_its_validation_rows_to_abstain_by(bench: Bench) -> None:
    events = bench.run(bench.spec("few", abstain=AbstainByCoverage(coverage=0.5), recipe="few_shot",
                                  hyperparameters=Hyperparameters(max_steps=2)))  # fmt: skip

    assert of_kind(events, Finetuned)
    assert read_facts(bench.directory / "few/version").fit.thresholds


def test_labels_that_are_never_answered_are_told(bench: Bench) -> None:
    asked = Hyperparameters(max_steps=1, learning_rate=1e-6)
    wanted = AbstainByPrecision(precision=0.89)

    events = bench.run(bench.spec("silent", abstain=wanted, hyperparameters=asked))

    [warning] = [each for each in of_kind(events, WarningRaised) if each.code == "never-answered"]
    assert warning.message.startswith("3 of 3 labels are never answered: ")


def test_a_run_with_too_few_validation_rows_is_refused(bench: Bench) -> None:
    spec = bench.spec("refused", abstain=AbstainByPrecision(precision=0.95))

    with pytest.raises(Failure, match="abstain takes 45 validation rows at the least; there are"):
        bench.run(spec)
