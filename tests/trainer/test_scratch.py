"""From scratch: what the training rows alone make, the same each time, and what it learns."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from tests.trainer.tiny_model import Bench, of_kind, write_pairs
from tokenizers import Tokenizer

from tunery.types import Hyperparameters
from tunery_trainer import scratch
from tunery_trainer.failure import Failure
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import Finetuned, HyperparametersResolved, MetricLogged
from tunery_trainer.protocol.specs import FinetuneRun
from tunery_trainer.recombination import Recombiner
from tunery_trainer.tasks import Task, task_named
from tunery_trainer.tasks.text_classification import TextClassification
from tunery_trainer.teacher import Teacher, unseen

GOOD, BAD = ["很好吃", "送餐快", "下次再来", "味道不错"], ["难吃", "太慢了", "不会再点", "凉了"]
OTHERS = ["今天中午", "外卖", "米饭", "两个人", "Pizza"]


@pytest.fixture(autouse=True)
def _few_lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MADE_UP", 100)
    monkeypatch.setattr(scratch, "PASS_ROWS", 640)


def write_reviews(path: Path, count: int, extra: str = "") -> Path:
    texts = [
        "，".join([OTHERS[i % 5], (GOOD, BAD)[i % 2][i // 2 % 4], OTHERS[(i * 3 + 1) % 5]]) + extra
        for i in range(count)
    ]
    columns = {"text": texts, "label": [("good", "bad")[i % 2] for i in range(count)]}
    pq.write_table(pa.table({"line": list(range(count)), **columns}), path)
    return path


@pytest.fixture
def spec(bench: Bench) -> FinetuneRun:
    """Return a fine-tune of 20 steps: 2 epochs of 10 batches of 64."""
    return bench.spec(
        base_model="scratch-mini",
        base_model_dir=str(bench.directory),
        train=str(write_reviews(bench.directory / "reviews.parquet", 120)),
        validation=str(write_reviews(bench.directory / "held_out.parquet", 24)),
        labels=["good", "bad"],
        hyperparameters=Hyperparameters(epochs=2),
    )


def test_what_it_has_made_is_fine_tuned_like_any_version(bench: Bench, spec: FinetuneRun) -> None:
    bench.run(spec)
    version = bench.directory / "work/version"
    later = bench.directory / "second"
    later.mkdir()

    events = bench.run(
        replace(
            spec,
            work_dir=str(later),
            base_model="reviews/1",
            base_model_dir=str(version),
            parent_sha256=manifest.sha256_of(version / manifest.NAME),
            hyperparameters=Hyperparameters(max_steps=2),
        )
    )

    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]
    assert zero.values["accuracy"] == 1.0  # as what it has made
    [resolved] = of_kind(events, HyperparametersResolved)
    assert resolved.resolved["recipe"].value != "scratch"
    assert resolved.resolved["max_length"].value == 128
    assert isinstance(events[-1], Finetuned)


def made(spec: FinetuneRun) -> Path:
    return Path(scratch.with_base(spec, lambda: None).base_model_dir)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_learns_chinese_and_names_what_the_teacher_makes_of_it(
    bench: Bench, spec: FinetuneRun
) -> None:
    events = bench.run(spec)

    [zero] = [event for event in of_kind(events, MetricLogged) if event.step == 0]
    assert zero.values["tfidf_accuracy"] == zero.values["tfidf_macro_f1"] == 1.0
    assert zero.values["majority_accuracy"] == 0.5
    figures = [event.values for event in of_kind(events, MetricLogged) if event.step == 20]
    assert figures[-1]["accuracy"] == 1.0
    [resolved] = of_kind(events, HyperparametersResolved)
    assert resolved.resolved["recipe"].value == "scratch"
    assert (resolved.resolved["freeze"].value, resolved.resolved["refit"].value) == ([], False)
    [done] = of_kind(events, Finetuned)
    assert done.parity is not None
    assert done.parity.labels_changed == 0


def test_a_resumed_run_ends_with_the_same_weights(bench: Bench, spec: FinetuneRun) -> None:
    changes = {name: getattr(spec, name) for name in ("base_model", "base_model_dir", "train")}
    changes |= {name: getattr(spec, name) for name in ("validation", "labels", "hyperparameters")}

    whole, resumed = bench.run_whole_and_resumed(**changes)

    for name in ("model.safetensors", "3_Dense/model.safetensors", "tokenizer.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_another_seed_makes_other_lessons(spec: FinetuneRun) -> None:
    other = replace(spec, hyperparameters=Hyperparameters(epochs=2, seed=7))

    first, second = contents(made(spec)), contents(made(other))

    assert first["tokenizer.json"] == second["tokenizer.json"]
    assert first["lessons.arrow"] != second["lessons.arrow"]
    assert first["model.safetensors"] != second["model.safetensors"]


def test_what_dies_in_the_making_is_made_anew(spec: FinetuneRun, bench: Bench) -> None:
    calls = []

    def dying() -> None:
        calls.append(1)
        if len(calls) == 12:  # amid the lessons
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scratch.with_base(spec, dying)
    [left] = Path(spec.cache_dir).iterdir()
    whole = made(spec)

    assert left.name.endswith(".tmp")
    assert list(Path(spec.cache_dir).iterdir()) == [whole]
    elsewhere = replace(spec, cache_dir=str(bench.directory / "elsewhere"))
    assert contents(made(elsewhere)) == contents(whole)


def test_validation_rows_leave_no_trace(spec: FinetuneRun, bench: Bench) -> None:
    held_out = write_reviews(bench.directory / "other.parquet", 24, extra="龘")
    other = replace(spec, validation=str(held_out), dataset_fingerprint="sha256:2")

    first, second = contents(made(spec)), contents(made(other))

    for name in ("tokenizer.json", "lessons.arrow", "targets.npy", "model.safetensors"):
        assert first[name] == second[name]


def test_the_tokenizer_knows_what_it_was_made_of(spec: FinetuneRun) -> None:
    tokenizer = Tokenizer.from_file(str(made(spec) / "tokenizer.json"))

    assert tokenizer.encode("送餐快，PIZZA").tokens == ["[CLS]", "送餐快", ",", "pizza", "[SEP]"]
    assert tokenizer.encode("龘").tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_an_epoch_takes_the_rows_of_one_pass(spec: FinetuneRun) -> None:
    targets = np.load(made(spec) / "targets.npy")

    assert targets.shape == (2 * 640, 2)
    assert targets.sum(axis=1) == pytest.approx(1.0)
    own = targets[640 - 120 : 640]  # of the training rows, the same in each pass
    assert (own == targets[-120:]).all()
    assert (own[::2, 0] >= 0.7).all()


def test_other_tasks_and_pairs_are_refused(spec: FinetuneRun, bench: Bench) -> None:
    pairs = write_pairs(bench.directory / "pairs.parquet", 8)

    with pytest.raises(Failure) as task:
        made(replace(spec, task="regression"))
    with pytest.raises(Failure) as pair:
        made(replace(spec, train=str(pairs)))

    assert (task.value.code, pair.value.code) == ("task-mismatch", "pair-mismatch")


def test_a_dry_run_makes_one_pass(spec: FinetuneRun) -> None:
    targets = np.load(made(replace(spec, dry_run=True)) / "targets.npy")

    assert targets.shape == (640, 2)


def test_a_teacher_that_has_not_read_a_text_does_not_know_its_label() -> None:
    texts, targets = ["aa", "ab", "ba", "xx", "xy", "yx", "q"], np.array([0, 0, 0, 1, 1, 1, 1])

    said = unseen(texts, targets, 3, 0, lambda: None)

    assert said.shape == (7, 3)
    assert said.sum(axis=1) == pytest.approx(1.0)
    assert said[0, 0] > 0.5 > said[3, 0]
    assert Teacher(texts, targets, 3)(["q"])[0, 1] > said[6, 1]


def test_a_teacher_of_one_label_says_nothing_else() -> None:
    assert Teacher(["a", "b"], np.array([1, 1]), 2)(["c"]).tolist() == [[0.0, 1.0]]
    assert unseen(["a"], np.array([1]), 2, 0, lambda: None).tolist() == [[0.5, 0.5]]


def test_made_up_texts_are_out_of_what_was_written() -> None:
    recombine = Recombiner(["很好吃，下次再来。", "too slow and cold"])

    texts = [recombine(random.Random(i)) for i in range(200)]

    assert len(set(texts)) > 100
    assert all(0 < len(text) <= 150 for text in texts)
    assert set("".join(texts)) <= set("很好吃，下次再来。too slow and cold")


def test_soft_targets_cost_their_cross_entropy() -> None:
    import torch

    task: Task = task_named("text_classification")
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    targets = torch.tensor([[0.7, 0.3], [0.5, 0.5]])

    loss = task.loss(logits, targets, 0.0, None)

    # ln(e + 1) - 0.7 and ln(1 + e^2) - 1, by hand
    assert float(loss) == pytest.approx((0.6132617 + 1.1269280) / 2)
    assert TextClassification().counts(targets.numpy(), 2).tolist() == [2, 0]
