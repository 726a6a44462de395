"""Pairs of texts: both are judged, and what is compared is the pair."""

import json
from typing import Any

import pytest

from tunery.types import Columns, Transform
from tunery_trainer.ingest.normalise import Normaliser

NAMED = Columns(text="question", text_pair="answer", label="fits")
HEAD = "question,answer,fits\n"


def pairs_csv(*extra: str) -> str:
    rows = [
        f"is {number} even?,{number} is {'even' if even else 'odd'},{'yes' if even else 'no'}"
        for number in range(100, 160)
        for even in (True, False)
    ]
    return HEAD + "\n".join([*rows, *extra]) + "\n"


def test_both_texts_are_stored_and_shown(ingest: Any) -> None:
    outcome = ingest(pairs_csv(), columns=NAMED)

    first = outcome.rows()[0]
    assert list(first) == ["line", "text", "label", "text_pair"]
    assert (first["text"], first["text_pair"]) == ("is 100 even?", "100 is even")
    assert outcome.ingested.columns.text_pair == "answer"
    assert sum(outcome.ingested.splits.values()) == 120


def test_one_first_text_beside_two_second_ones_is_no_conflict(ingest: Any) -> None:
    outcome = ingest(pairs_csv(), columns=NAMED)

    assert outcome.report.conflicts.texts == 0
    assert outcome.report.duplicates.exact == 0


def test_repeated_and_contradicting_pairs_are_found(ingest: Any) -> None:
    outcome = ingest(
        pairs_csv("is 100 even?,100 is even,yes", "Is 101 even,101 is odd!,yes"), columns=NAMED
    )

    [repeated] = outcome.report.duplicates.groups
    assert (repeated.text, repeated.text_pair) == ("is 100 even?", "100 is even")
    assert repeated.lines == [2, 122]
    [torn] = outcome.report.conflicts.examples
    assert (torn.text_pair, torn.labels) == ("101 is odd", ["no", "yes"])


def test_where_the_first_text_ends_matters() -> None:
    fold = Normaliser().fold_all

    assert fold([b"A b\0c", b"ab\0C.", b"a\0bc", "\u00c4\0!".encode()]) == [
        b"ab\0c",
        b"ab\0c",
        b"a\0bc",
        "\u00e4\0!".encode(),
    ]


def test_training_pair_that_the_test_file_has_is_left_out(ingest: Any) -> None:
    body = pairs_csv()
    test = HEAD + "is 100 even?,100 is even,yes\nis 7 even?,7 is odd,no\n"

    outcome = ingest({"train": body, "test": test}, columns=NAMED)

    assert outcome.report.leakage.normalised == 1
    assert outcome.report.leakage.examples[0].text_pair == "100 is even"
    texts = {(row["text"], row["text_pair"]) for row in outcome.rows("train", "validation")}
    assert ("is 100 even?", "100 is even") not in texts
    assert ("is 100 even?", "100 is odd") in texts


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("is 1 even?,,no", ("empty-text", "answer")),
        (",1 is odd,no", ("empty-text", "question")),
        ("is 1 even?,a\0b,no", ("nul-byte", "answer")),
    ],
)
def test_each_text_is_judged_under_its_own_column(
    ingest: Any, row: str, found: tuple[str, str]
) -> None:
    outcome = ingest(pairs_csv(row), columns=NAMED)

    [error] = outcome.report.errors
    assert (error.code, error.column) == found
    assert error.line == 122


def test_json_line_without_a_second_text_is_an_error(ingest: Any) -> None:
    lines = [{"question": f"q {i}", "answer": f"a {i}", "fits": i % 2 == 0} for i in range(40)]
    del lines[3]["answer"]
    lines[5]["answer"] = 7

    outcome = ingest(
        "\n".join(map(json.dumps, lines)), media_type="application/x-ndjson", columns=NAMED
    )

    assert outcome.errors() == [("missing-field", 4), ("wrong-type", 6)]


def test_usual_names_of_pairs_are_guessed(ingest: Any) -> None:
    outcome = ingest(pairs_csv().replace(HEAD, "Premise,hypothesis,label\n"))

    used = outcome.ingested.columns
    assert (used.text, used.text_pair, used.label) == ("Premise", "hypothesis", "label")
    assert used.inferred


def test_transforms_clean_both_texts_and_keep_the_split(ingest: Any, tmp_path: Any) -> None:
    first = ingest(pairs_csv("<b>is</b> 5 even?,5 <i>is</i> odd,no"), columns=NAMED)
    before = {row["line"]: row for row in first.rows("train")}
    kept = tmp_path / "first"
    first.directory.rename(kept)

    second = ingest(
        {split: kept / f"{split}.parquet" for split in ("train", "validation", "test")},
        media_type="application/vnd.apache.parquet",
        transforms=[Transform(op="strip_html")],
        parent_dir=str(kept),
    )

    assert second.report.transforms[0].rows_changed == 1
    [row] = [each for each in second.rows() if each["line"] == 122]
    assert (row["text"], row["text_pair"]) == ("is 5 even?", "5 is odd")
    assert before.keys() == {row["line"] for row in second.rows("train")}
