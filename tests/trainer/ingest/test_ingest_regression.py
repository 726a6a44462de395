"""Numbers as labels: each must be finite, and nothing is said of labels."""

from typing import Any

from tunery.types import SplitSpec


def csv_of(*extra: str) -> str:
    rows = [f"text number {i} of many,{i * 37 % 100 / 10}" for i in range(200)]
    return "\n".join(["text,label", *rows, *extra]) + "\n"


def test_numbers_are_stored_and_no_labels_are_reported(ingest: Any) -> None:
    outcome = ingest(csv_of(), task="regression", policies={"near_duplicates": "skip"})

    assert outcome.ingested.labels == []
    assert outcome.rows()[1]["label"] == "3.7"
    assert {split: dict(each) for split, each in outcome.report.labels.counts.items()} == {
        "train": {},
        "validation": {},
        "test": {},
    }
    assert outcome.report.warnings == []


def test_rows_have_their_shares_of_every_split(ingest: Any) -> None:
    outcome = ingest(
        csv_of(), task="regression", policies={"near_duplicates": "skip"}, split=SplitSpec()
    )

    assert 136 <= outcome.ingested.splits["train"] <= 144
    assert sum(outcome.ingested.splits.values()) == 200


def test_cell_that_is_no_finite_number_is_an_error_of_its_line(ingest: Any) -> None:
    outcome = ingest(csv_of("one,NaN", "two,2.5 kg", "three,", "four,7"), task="regression")

    assert outcome.errors() == [("not-a-number", 202), ("not-a-number", 203), ("null-label", 204)]


def test_one_text_with_two_numbers_is_a_conflict(ingest: Any) -> None:
    outcome = ingest(
        csv_of("text number 1 of many,3.70", "text number 2 of many,9"),
        task="regression",
        policies={"near_duplicates": "skip"},
    )

    assert outcome.report.duplicates.exact == 1
    assert outcome.report.conflicts.examples[0].labels == ["7.4", "9"]


def test_numbers_that_are_all_the_same_teach_nothing(ingest: Any) -> None:
    outcome = ingest("text,label\na b,1\nc d,1.0\ne f,1e0\n", task="regression")

    assert [code for code, _ in outcome.errors()] == ["single-class"]
