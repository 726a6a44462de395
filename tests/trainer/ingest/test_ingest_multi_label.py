"""Several labels to a row: cells are read, and all that is said of labels is said of each."""

import json
from typing import Any

import pytest

from tunery.types import Columns, Transform

BARS = Columns(text="text", label="tags", label_separator="|")


def csv_of(*extra: str) -> str:
    cells = ("food|price", "food", "price", "", "price|food|staff")
    rows = [f"visit number {i} was as told,{cells[i % 5]}" for i in range(200)]
    return "\n".join(["text,tags", *rows, *extra]) + "\n"


def test_cells_become_sorted_lists_and_labels_are_counted_apart(ingest: Any) -> None:
    outcome = ingest(csv_of(), task="multi_label", columns=BARS)

    assert [row["label"] for row in outcome.rows()[:5]] == [
        '["food", "price"]',
        '["food"]',
        '["price"]',
        "[]",
        '["food", "price", "staff"]',
    ]
    assert outcome.ingested.labels == ["food", "price", "staff"]
    counts = outcome.report.labels.counts.values()
    assert sum(each["staff"] for each in counts) == 40
    assert sum(each["food"] for each in counts) == 120
    assert outcome.report.splits == outcome.ingested.splits


def test_each_label_has_its_share_of_every_split(ingest: Any) -> None:
    rows = [
        f"text {i} of many,{'common' + ('|rare' if i % 8 == 0 else '')}{'|other' * (i % 3 == 1)}"
        for i in range(1600)
    ]

    outcome = ingest(
        "\n".join(["text,tags", *rows]),
        task="multi_label",
        columns=BARS,
        policies={"near_duplicates": "skip"},
    )

    counts = outcome.report.labels.counts
    for label, total in {"common": 1600, "rare": 200, "other": 533}.items():
        for split, share in {"train": 0.7, "validation": 0.15, "test": 0.15}.items():
            assert counts[split][label] / total == pytest.approx(share, abs=0.03), (split, label)


def test_json_lines_may_hold_lists(ingest: Any) -> None:
    lines = [{"text": f"t {i} x", "label": ["a", "b"][: i % 3]} for i in range(60)]
    lines[7]["label"] = None
    lines[8]["label"] = ["a", 1]
    lines[9]["label"] = "a"

    outcome = ingest(
        "\n".join(map(json.dumps, lines)), media_type="application/x-ndjson", task="multi_label"
    )

    assert outcome.errors() == [("null-label", 8), ("wrong-type", 9), ("invalid-label", 10)]


def test_spellings_of_one_label_are_merged_within_the_lists(ingest: Any) -> None:
    outcome = ingest(
        csv_of("an odd one,Food |price"),
        task="multi_label",
        columns=BARS,
        policies={"labels": "merge"},
    )

    assert outcome.ingested.labels == ["food", "price", "staff"]
    assert outcome.rows()[-1]["label"] == '["food", "price"]'


def test_one_text_under_two_lists_is_a_conflict(ingest: Any) -> None:
    outcome = ingest(
        csv_of("visit number 0 was as told,price|food", "visit number 1 was as told,staff"),
        task="multi_label",
        columns=BARS,
    )

    assert outcome.report.duplicates.exact == 1
    [group] = outcome.report.conflicts.examples
    assert group.labels == ['["food"]', '["staff"]']


def test_rows_that_all_have_the_same_labels_teach_nothing(ingest: Any) -> None:
    outcome = ingest(
        "text,label\n" + "".join(f'row {i},"[""a""]"\n' for i in range(30)), task="multi_label"
    )

    assert [code for code, _ in outcome.errors()] == ["single-class"]


def test_label_that_only_test_has_is_an_error(ingest: Any) -> None:
    test = "text,tags\nnew one,food|wine\n"

    outcome = ingest({"train": csv_of(), "test": test}, task="multi_label", columns=BARS)

    assert outcome.errors() == [("unseen-label", 2)]


def test_relabel_renames_within_the_lists(ingest: Any, tmp_path: Any) -> None:
    first = ingest(csv_of(), task="multi_label", columns=BARS)
    kept = tmp_path / "first"
    first.directory.rename(kept)

    second = ingest(
        {split: kept / f"{split}.parquet" for split in ("train", "validation", "test")},
        media_type="application/vnd.apache.parquet",
        task="multi_label",
        transforms=[Transform(op="relabel", labels={"staff": "service"})],
        parent_dir=str(kept),
    )

    assert second.ingested.labels == ["food", "price", "service"]
    assert second.report.transforms[0].rows_changed == 40
    assert second.rows()[4]["label"] == '["food", "price", "service"]'
