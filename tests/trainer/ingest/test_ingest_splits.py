"""Which split a row goes to, what is written, and how a run ends."""

import json

import pytest

from tunery.types import SplitSpec
from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.events import Interrupted, ProgressMade


def places(outcome):
    return {
        row["text"]: split
        for split in ("train", "validation", "test")
        for row in outcome.rows(split)
    }


def test_rows_are_shared_out_by_the_shares(ingest, csv_of):
    outcome = ingest(csv_of(4000))

    splits = outcome.ingested.splits
    # Four standard deviations of a binomial with n = 4000.
    assert splits["train"] == pytest.approx(2800, abs=116)
    assert splits["validation"] == pytest.approx(600, abs=91)
    assert splits["test"] == pytest.approx(600, abs=91)


def test_a_text_keeps_its_split_when_rows_are_added(ingest, csv_of):
    before = places(ingest(csv_of(100)))

    after = places(ingest(csv_of(180)))

    assert before.items() <= after.items()


def test_another_seed_shares_out_otherwise(ingest, csv_of):
    first = places(ingest(csv_of(200), split=SplitSpec(seed=1)))

    second = places(ingest(csv_of(200), split=SplitSpec(seed=2)))

    assert first != second


def test_texts_that_differ_in_case_and_signs_share_a_split(ingest):
    rows = "".join(f"Hello no. {i}!,a\nhello no {i},b\n" for i in range(100))

    where = places(ingest(f"text,label\n{rows}"))

    assert all(where[f"Hello no. {i}!"] == where[f"hello no {i}"] for i in range(100))


def test_every_label_trains(ingest, csv_of):
    outcome = ingest(csv_of(60, *[f"l{i}{j},label{i}" for i in range(40) for j in range(5)]))

    trained = {row["label"] for row in outcome.rows("train")}
    assert trained == set(outcome.ingested.labels)


def test_a_tenth_of_train_validates_where_no_file_does(ingest, csv_of):
    files = {"train": csv_of(2000), "test": "text,label\nx,ham\ny,spam\n"}

    splits = ingest(files).ingested.splits

    assert splits["validation"] == pytest.approx(200, abs=54)
    assert splits["train"] + splits["validation"] == 2000
    assert splits["test"] == 2


@pytest.mark.parametrize(
    "split",
    [
        SplitSpec(train=0.7, validation=0.2, test=0.2),
        SplitSpec(train=0.0, validation=0.5, test=0.5),
    ],
)
def test_impossible_shares_are_refused(ingest, split):
    rows = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(10))

    outcome = ingest(f"text,label\n{rows}", split=split)

    assert outcome.rejected.error.code == "invalid-split"


def test_small_train_file_still_gets_a_validation_split(ingest, csv_of):
    files = {"train": csv_of(6), "test": "text,label\nx,ham\ny,spam\n"}

    splits = ingest(files).ingested.splits

    assert splits["validation"] > 0
    assert splits["train"] > 0


def test_too_few_rows_for_a_test_split_are_refused(ingest, csv_of):
    outcome = ingest(csv_of(4))

    assert outcome.rejected.error.code == "invalid-split"
    assert "test" in outcome.rejected.error.message


@pytest.mark.parametrize("seed", range(20))
def test_few_rows_still_reach_every_split(ingest, csv_of, seed):
    splits = ingest(csv_of(22), split=SplitSpec(seed=seed)).ingested.splits

    assert min(splits.values()) > 0
    assert sum(splits.values()) == 22


def test_fingerprint_is_of_rows_and_splits_and_nothing_else(ingest, csv_of):
    plain = ingest(csv_of(60)).ingested.fingerprint

    again = ingest(csv_of(60).replace("\n", "\r\n")).ingested.fingerprint
    other = ingest(csv_of(60), split=SplitSpec(seed=1)).ingested.fingerprint

    assert plain == again
    assert plain != other
    assert plain.startswith("sha256:")


def test_dataset_verifies_by_its_manifest(ingest, csv_of):
    outcome = ingest(csv_of(60))

    facts = manifest.verify(outcome.directory, outcome.ingested.manifest_sha256)
    assert sorted(facts.files) == [
        "findings.ndjson",
        "report.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]


def test_rejected_dataset_leaves_only_its_report(ingest):
    outcome = ingest("text,label\n")

    verified = manifest.verify(outcome.directory, outcome.rejected.manifest_sha256)
    assert sorted(verified.files) == ["findings.ndjson", "report.json"]
    assert outcome.report.accepted == 0


def test_progress_names_every_phase(ingest, csv_of):
    events = ingest(csv_of(60)).events

    phases = [event.progress.phase for event in events if isinstance(event, ProgressMade)]
    assert list(dict.fromkeys(phases)) == ["reading", "comparing", "checking", "writing"]


def test_released_leash_ends_it_with_interrupted(ingest, csv_of):
    answers = iter([False, False, True])

    outcome = ingest(csv_of(5000), released=lambda: next(answers))

    assert isinstance(outcome.last, Interrupted)
    assert not (outcome.directory / manifest.NAME).exists()


def test_second_attempt_replaces_what_the_first_left(ingest, csv_of):
    first = ingest(csv_of(60)).ingested

    second = ingest(csv_of(60)).ingested

    assert second == first


def test_report_says_columns_and_counts_by_split(ingest, csv_of):
    outcome = ingest(csv_of(60, "好吃,Ham", "odd,ham"))

    written = json.loads((outcome.directory / "report.json").read_text())
    columns = {"text": "text", "text_pair": None, "label": "label", "label_separator": None}
    assert written["columns"] == columns | {"inferred": True}
    assert written["labels"]["counts"]["train"]["spam"] > 0
