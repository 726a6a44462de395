"""Transforms: what becomes of tables, and what is counted."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunery.types import Policies, RowLabel, Transform, TransformResult
from tunery_trainer.ingest.findings import Findings
from tunery_trainer.ingest.stored_rows import open_stored
from tunery_trainer.ingest.transforms import Transforms

SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string()), ("label", pa.string())])


def table_of(*rows: tuple[int, str | None, str | None]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def counts_of(transforms: Transforms, **policies: Any) -> list[tuple[str, int, int]]:
    results = transforms.results(
        Policies(**policies), merged=5, conflicts_dropped=3, duplicates_dropped=7
    )
    return [(each.op, each.rows_changed, each.rows_removed) for each in results]


def test_texts_are_changed_step_by_step_and_counted() -> None:
    transforms = Transforms([Transform(op="strip_html"), Transform(op="normalise")])

    made = transforms.apply(
        table_of(
            (2, "<b>bold</b>  move", "a"),
            (3, "plain", "b"),
            (4, "two  blanks", "a"),
            (5, "1 < 2", "b"),
        )
    )

    assert made.schema == SCHEMA
    assert rows_of(made) == [
        (2, "bold move", "a"),
        (3, "plain", "b"),
        (4, "two blanks", "a"),
        (5, "1 < 2", "b"),
    ]
    assert counts_of(transforms) == [("strip_html", 1, 0), ("normalise", 2, 0)]


def test_there_are_signs_of_life_while_texts_are_cleaned() -> None:
    beats: list[int] = []
    transforms = Transforms([Transform(op="strip_html")], lambda: beats.append(1))

    transforms.apply(table_of(*((line, "<b>x</b>", "a") for line in range(1, 101))))

    assert len(beats) == 4


def test_order_counts() -> None:
    table = table_of((2, "&nbsp;x", "a"))
    steps = [Transform(op="normalise"), Transform(op="strip_html")]

    first, second = Transforms(steps), Transforms(steps[::-1])

    assert rows_of(first.apply(table)) == [(2, "\u00a0x", "a")]
    assert rows_of(second.apply(table)) == [(2, "x", "a")]
    assert counts_of(second) == [("strip_html", 1, 0), ("normalise", 1, 0)]


def test_what_loses_its_text_is_removed_where_the_policy_drops_it() -> None:
    transforms = Transforms([Transform(op="strip_html"), Transform(op="normalise")])

    made = transforms.apply(table_of((2, "<br>", "a"), (3, " ", "a"), (4, "<p>x</p>", "b")))

    assert [row[1] for row in rows_of(made)] == ["", "", "x"]
    assert counts_of(transforms) == [("strip_html", 2, 0), ("normalise", 1, 0)]
    assert counts_of(transforms, empty="drop") == [("strip_html", 2, 1), ("normalise", 1, 0)]


def test_labels_are_renamed_and_joined() -> None:
    relabel = Transform(op="relabel", labels={"refunds": "refund", "x": "y", "y": "z"})
    transforms = Transforms([relabel])

    made = transforms.apply(
        table_of((2, "a", "refunds"), (3, "b", "refund"), (4, "c", "x"), (5, "d", "y"))
    )

    assert [row[2] for row in rows_of(made)] == ["refund", "refund", "y", "z"]
    assert counts_of(transforms) == [("relabel", 3, 0)]


def test_rows_are_relabelled_in_their_split_alone() -> None:
    rows = [
        RowLabel(line=2, label="b", split="train"),
        RowLabel(line=3, label="c", split="test"),
        RowLabel(line=9, label="c", split="test"),
    ]
    transforms = Transforms([Transform(op="relabel", labels={"a": "x"}, rows=rows)])
    table = table_of((2, "t", "a"), (3, "u", "a"))

    train, test = transforms.apply(table, "train"), transforms.apply(table, "test")

    assert [row[2] for row in rows_of(train)] == ["b", "x"]
    assert [row[2] for row in rows_of(test)] == ["x", "c"]
    errors = Findings()
    transforms.report(errors)
    assert [(each.code, each.split, each.line) for each in errors.sorted()] == [
        ("unknown-row", "test", 9)
    ]


def test_a_row_without_a_split_is_found_in_any() -> None:
    transforms = Transforms([Transform(op="relabel", rows=[RowLabel(line=3, label="b")])])

    transforms.apply(table_of((2, "t", "a")), "train")
    made = transforms.apply(table_of((3, "u", "a")), "test")

    errors = Findings()
    transforms.report(errors)
    assert rows_of(made) == [(3, "u", "b")]
    assert errors.total == 0


def test_personal_data_is_redacted() -> None:
    transforms = Transforms([Transform(op="redact")])

    made = transforms.apply(table_of((2, "write to ann@example.com", "a"), (3, "in 2 days", "b")))

    (_, text, _), untouched = rows_of(made)
    assert "ann@example.com" not in text
    assert text.startswith("write to ")
    assert untouched == (3, "in 2 days", "b")
    assert counts_of(transforms) == [("redact", 1, 0)]


def test_policies_act_last_and_in_their_own_order() -> None:
    ops = ("dedupe", "drop_conflicts", "merge_labels", "strip_html")
    transforms = Transforms([Transform(op=op) for op in ops])

    policies = transforms.policies(Policies(leakage="warn", conflicts="majority"))

    assert policies == Policies(leakage="warn", conflicts="drop", labels="merge", duplicates="drop")
    assert counts_of(transforms) == [
        ("strip_html", 0, 0),
        ("merge_labels", 5, 0),
        ("drop_conflicts", 0, 3),
        ("dedupe", 0, 7),
    ]


def test_policies_that_no_transform_names_stay() -> None:
    transforms = Transforms([Transform(op="dedupe"), Transform(op="dedupe")])

    policies = transforms.policies(Policies(labels="reject", conflicts="majority"))

    assert policies == Policies(labels="reject", conflicts="majority", duplicates="drop")
    assert counts_of(transforms) == [("dedupe", 0, 7), ("dedupe", 0, 0)]


def test_no_transforms_change_nothing() -> None:
    transforms, table = Transforms([]), table_of((2, "<b>", "a"))

    assert transforms.apply(table) == table
    assert transforms.policies(Policies()) == Policies()
    assert counts_of(transforms) == []


def test_parts_are_counted_together_and_nulls_and_other_columns_stay() -> None:
    transforms = Transforms(
        [Transform(op="strip_html"), Transform(op="relabel", labels={"a": "b"})]
    )
    table = table_of((2, "<b>x", "a"), (3, None, None)).append_column("kind", [["text", None]])

    made = [transforms.apply(table), transforms.apply(table), transforms.apply(table.slice(0, 0))]

    assert [rows_of(each) for each in made] == [
        [(2, "x", "b", "text"), (3, None, None, None)],
        [(2, "x", "b", "text"), (3, None, None, None)],
        [],
    ]
    assert counts_of(transforms) == [("strip_html", 2, 0), ("relabel", 2, 0)]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string()])
def test_chunks_and_large_texts_stay_what_they_are(kind: pa.DataType) -> None:
    texts = pa.chunked_array([["<i>a</i>"], [], ["b", "&lt;"]], kind)
    labels = pa.chunked_array([["x", "y"], ["x"]], kind)
    table = pa.table([pa.array([1, 2, 3], pa.int64()), texts, labels], ["line", "text", "label"])
    steps = [Transform(op="strip_html"), Transform(op="relabel", labels={"x": "z"})]

    made = Transforms(steps).apply(table)

    assert made.schema == table.schema
    assert rows_of(made) == [(1, "a", "z"), (2, "b", "y"), (3, "<", "z")]


def test_results_are_of_the_contract() -> None:
    transforms = Transforms([Transform(op="merge_labels")])

    results = transforms.results(Policies(), merged=2, conflicts_dropped=0, duplicates_dropped=0)

    assert results == [TransformResult(op="merge_labels", rows_changed=2, rows_removed=0)]


def test_stored_rows_keep_their_lines(tmp_path: Path) -> None:
    table = table_of((7, "a", "x"), (3, "b", "y"))
    pq.write_table(table, tmp_path / "train.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "test.parquet")

    train, test = (open_stored(tmp_path / f"{split}.parquet") for split in ("train", "test"))

    rows = [row for part in train.parts for row in part.rows.to_pylist()]
    assert [(row["line"], row["text"], row["label"]) for row in rows] == [
        (7, "a", "x"),
        (3, "b", "y"),
    ]
    assert sum(part.rows.num_rows for part in test.parts) == 0
