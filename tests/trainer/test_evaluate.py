"""Evaluation of what a tiny fine-tune left."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.trainer.tiny_model import LABELS, Bench, of_kind, write_rows

from tunery.types import Hyperparameters
from tunery_trainer.evaluate import program
from tunery_trainer.failure import Failure
from tunery_trainer.model_files import read_facts
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import AnyEvent, Evaluated, Finetuned, Interrupted
from tunery_trainer.protocol.specs import EvaluateRun
from tunery_trainer.runtimes import load
from tunery_trainer.tasks.texts import TextEncoder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> EvaluateRun:
    """Return the evaluation of a version on 40 rows."""
    bench = Bench(tmp_path_factory.mktemp("evaluate"))
    hyperparameters = Hyperparameters(max_steps=4, learning_rate=5e-3)
    [done] = of_kind(bench.run(bench.spec(hyperparameters=hyperparameters)), Finetuned)
    return EvaluateRun(
        work_dir=str(bench.directory),
        job="job_2",
        model_dir=str(bench.directory / "work/version"),
        manifest_sha256=done.manifest_sha256,
        rows=str(write_rows(bench.directory / "test.parquet", 40)),
        runtime="auto",
        device="cpu",
        threads=1,
        train=str(bench.train),
        untrained={"accuracy": 0.3, "majority_accuracy": 0.2},
    )


@pytest.fixture
def spec(whole: EvaluateRun, tmp_path: Path) -> EvaluateRun:
    """Return the same of copies, to be spoilt."""
    model_dir, rows = tmp_path / "version", tmp_path / "test.parquet"
    shutil.copytree(whole.model_dir, model_dir)
    shutil.copyfile(whole.rows, rows)
    return msgspec.structs.replace(
        whole, work_dir=str(tmp_path), model_dir=str(model_dir), rows=str(rows)
    )


def run(spec: EvaluateRun) -> Evaluated:
    """Evaluate, and return what came of it."""
    events: list[AnyEvent] = []
    program.run(spec, events.append, lambda: False)
    evaluated = events[-1]
    assert isinstance(evaluated, Evaluated)
    return evaluated


def test_figures_are_those_of_the_served_runtime(spec: EvaluateRun) -> None:
    evaluated = run(spec)

    rows = pq.read_table(spec.rows)
    encoder = TextEncoder(Path(spec.model_dir, "tokenizer.json"), 64)
    runtime = load(Path(spec.model_dir), "openvino", device="cpu", threads=1)
    logits = np.concatenate([runtime.logits(encoder([str(text)]).ids) for text in rows["text"]])
    expected = [LABELS[i] for i in logits.argmax(1)]
    accuracy = np.mean([a == str(b) for a, b in zip(expected, rows["label"], strict=True)])
    assert evaluated.metrics["accuracy"].value == pytest.approx(accuracy)
    assert (evaluated.rows, evaluated.runtime, evaluated.precision) == (40, "openvino", "fp32")
    assert [figures.support for figures in evaluated.per_class] == [14, 13, 13]


def test_every_row_is_kept_with_its_answer(spec: EvaluateRun) -> None:
    evaluated = run(spec)

    folder = Path(spec.work_dir, evaluated.path)
    kept = manifest.verify(folder, evaluated.manifest_sha256)
    assert kept.size_bytes == evaluated.size_bytes
    rows = pq.read_table(folder / "rows.parquet")
    source = pq.read_table(spec.rows)
    assert [rows[name] for name in ("line", "text", "label")] == [*map(source.column, range(3))]
    losses = rows["loss"].to_numpy()
    assert losses.mean() == pytest.approx(evaluated.metrics["loss"].value)
    right = np.mean(rows["label"].to_numpy() == rows["predicted"].to_numpy())
    assert right == evaluated.metrics["accuracy"].value


def test_an_error_stands_beside_what_was_taught_of_texts_like_it(spec: EvaluateRun) -> None:
    run(spec)

    rows = pq.read_table(Path(spec.work_dir, "evaluation/rows.parquet")).to_pylist()
    taught = {row["line"]: row for row in pq.read_table(spec.train).to_pylist()}
    wrong = [row for row in rows if row["label"] != row["predicted"]]
    assert wrong
    for row in rows:
        assert len(row["nearest"]) == (3 if row in wrong else 0)
        for each in row["nearest"]:
            same = taught[each["line"]]
            assert (each["text"], each["label"]) == (same["text"], same["label"])


def test_baselines_have_the_primary_metric(spec: EvaluateRun) -> None:
    """The training rows have 30 of each label, so that the first is the commonest: 14 of 40."""
    evaluated = run(spec)

    assert evaluated.primary_metric == "accuracy"
    assert evaluated.baselines == {"majority": 14 / 40, "tfidf": 1.0, "untrained": 0.3}
    assert evaluated.tfidf_rows == 90


def test_an_answer_is_timed_alone_and_among_eight(spec: EvaluateRun) -> None:
    evaluated = run(spec)

    latency = evaluated.latency
    assert latency is not None
    assert (latency.device, latency.threads) == ("cpu", 1)
    for found in (latency.single, latency.eight):
        assert 0 < found.p50_ms <= found.p95_ms


def test_without_the_training_rows_only_the_untrained_model_is_known(spec: EvaluateRun) -> None:
    events: list[AnyEvent] = []

    program.run(msgspec.structs.replace(spec, train=None), events.append, lambda: False)

    evaluated = events[-1]
    assert isinstance(evaluated, Evaluated)
    assert (evaluated.baselines, evaluated.tfidf_rows) == ({"untrained": 0.3}, 0)


def test_rows_that_the_model_has_seen_are_counted_and_left_out_beside(
    spec: EvaluateRun, tmp_path: Path
) -> None:
    """Two rows of the lineage, one in other case and signs; one of them is of an ancestor."""
    texts = pq.read_table(spec.rows)["text"].to_pylist()[:2]
    for name, text in zip(("own", "ancestor"), (texts[0].upper() + "!", texts[1]), strict=True):
        pq.write_table(pa.table({"text": [text, f"unlike {name}"]}), tmp_path / name)
    lineage = {"ds_1": [str(tmp_path / "own")], "ds_0": [str(tmp_path / "ancestor")]}
    source = pq.read_table(spec.rows)
    folded = [text.lower() for text in source["text"].to_pylist()]
    seen = [text in folded[:2] for text in folded]

    evaluated = run(msgspec.structs.replace(spec, lineage=lineage, lost=["ds_x"]))

    found = evaluated.lineage
    assert (found.datasets, found.lost, found.compared) == (["ds_1", "ds_0"], ["ds_x"], 4)
    assert found.overlap == sum(seen) > 0
    rows = pq.read_table(Path(spec.work_dir, evaluated.path, "rows.parquet"))
    right = rows["label"].to_numpy() == rows["predicted"].to_numpy()
    assert found.without["accuracy"].value == pytest.approx(right[~np.array(seen)].mean())


def test_rows_that_nobody_has_seen_have_no_second_figures(spec: EvaluateRun) -> None:
    evaluated = run(spec)

    assert (evaluated.lineage.overlap, evaluated.lineage.without) == (0, {})


def test_calibration_is_told_before_and_after_the_temperature(spec: EvaluateRun) -> None:
    evaluated = run(spec)

    found = evaluated.calibration
    assert found.temperature == read_facts(Path(spec.model_dir)).fit.temperature != 1.0
    assert found.ece_after == evaluated.metrics["ece"].value != found.ece_before
    assert sum(each.rows for each in found.bins) == 40


def test_the_fit_is_judged_by_rows_of_all_splits(spec: EvaluateRun) -> None:
    evaluated = run(msgspec.structs.replace(spec, validation=spec.rows))

    fit = evaluated.fit
    assert (fit.metric, fit.validation) == ("accuracy", None)  # the rows that are evaluated
    assert fit.test == evaluated.metrics["accuracy"].value
    assert fit.baseline == evaluated.baselines["tfidf"]


def test_training_rows_are_not_held_against_themselves(spec: EvaluateRun) -> None:
    lineage = {"ds_1": [spec.train]}

    evaluated = run(msgspec.structs.replace(spec, rows=spec.train, lineage=lineage))

    assert evaluated.fit is None
    assert evaluated.lineage.overlap == evaluated.rows == 90
    assert evaluated.lineage.without["accuracy"].reason == "there are no rows"
    assert "seen-in-training" in [each.type for each in evaluated.findings]


def test_byte_that_has_changed_is_a_failure(spec: EvaluateRun) -> None:
    path = Path(spec.model_dir, "model.safetensors")
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(Failure, match=r"model\.safetensors") as raised:
        program.run(spec, lambda _: None, lambda: False)

    assert raised.value.code == "checkpoint-corrupt"


def test_label_that_the_model_lacks_is_a_failure(spec: EvaluateRun) -> None:
    table = pq.read_table(spec.rows)
    labels = ["other", *table["label"].to_pylist()[1:]]
    pq.write_table(table.set_column(2, "label", [labels]), spec.rows)

    with pytest.raises(Failure, match="'other'") as raised:
        program.run(spec, lambda _: None, lambda: False)

    assert raised.value.code == "label-mismatch"


def test_leash_that_is_let_go_ends_the_evaluation(spec: EvaluateRun) -> None:
    events: list[AnyEvent] = []

    program.run(spec, events.append, lambda: True)

    assert isinstance(events[-1], Interrupted)
