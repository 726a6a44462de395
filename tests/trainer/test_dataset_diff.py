"""What changed between two datasets, worked out by hand."""

from tunery.types import DatasetDiff, LabelShift, RowChange, RowChanges, Split
from tunery_trainer.dataset_diff import Place, compare

Row = tuple[str, str, Split]
NONE = RowChanges(rows=0, examples=[])


def diff(before: list[Row], after: list[Row]) -> DatasetDiff:
    def rows(of: list[Row]) -> list[tuple[str, Place]]:
        return [(text, Place(label, split)) for text, label, split in of]

    return compare("ds_1", "ds_2", lambda: rows(before), lambda: rows(after))


def test_each_kind_of_change_is_counted_and_shown():
    before: list[Row] = [
        ("same", "a", "train"),
        ("gone", "a", "test"),
        ("corrected", "a", "train"),
        ("elsewhere", "b", "train"),
    ]
    after: list[Row] = [
        ("elsewhere", "b", "validation"),
        ("same", "a", "train"),
        ("new", "c", "train"),
        ("corrected", "b", "train"),
    ]

    assert diff(before, after) == DatasetDiff(
        before="ds_1",
        after="ds_2",
        unchanged=1,
        added=RowChanges(
            rows=1,
            examples=[
                RowChange(
                    text="new",
                    label_before=None,
                    label_after="c",
                    split_before=None,
                    split_after="train",
                )
            ],
        ),
        removed=RowChanges(
            rows=1,
            examples=[
                RowChange(
                    text="gone",
                    label_before="a",
                    label_after=None,
                    split_before="test",
                    split_after=None,
                )
            ],
        ),
        relabelled=RowChanges(
            rows=1,
            examples=[
                RowChange(
                    text="corrected",
                    label_before="a",
                    label_after="b",
                    split_before="train",
                    split_after="train",
                )
            ],
        ),
        moved=RowChanges(
            rows=1,
            examples=[
                RowChange(
                    text="elsewhere",
                    label_before="b",
                    label_after="b",
                    split_before="train",
                    split_after="validation",
                )
            ],
        ),
        labels=[
            LabelShift(label="a", before=3, after=1),
            LabelShift(label="b", before=1, after=2),
            LabelShift(label="c", before=0, after=1),
        ],
    )


def test_repeated_rows_are_counted_one_by_one():
    grown = diff([("x", "a", "train")], [("x", "a", "train")] * 3)
    shrunk = diff([("x", "a", "train")] * 3, [("x", "a", "train")])

    assert (grown.unchanged, grown.added.rows, grown.removed.rows) == (1, 2, 0)
    assert (shrunk.unchanged, shrunk.added.rows, shrunk.removed.rows) == (1, 0, 2)
    assert (grown.relabelled, grown.moved) == (NONE, NONE)


def test_row_that_stands_under_several_labels_changes_where_it_differs():
    before: list[Row] = [("x", "a", "train"), ("x", "b", "train"), ("x", "b", "test")]
    after: list[Row] = [("x", "a", "train"), ("x", "c", "train"), ("x", "b", "train")]

    found = diff(before, after)

    assert (found.unchanged, found.relabelled.rows, found.moved) == (2, 1, NONE)
    (change,) = found.relabelled.examples
    assert (change.label_before, change.split_before) == ("b", "test")
    assert (change.label_after, change.split_after) == ("c", "train")


def test_row_with_another_label_and_another_split_is_relabelled():
    found = diff([("x", "a", "train")], [("x", "b", "test")])

    assert (found.relabelled.rows, found.moved, found.added, found.removed) == (1, NONE, NONE, NONE)


def test_label_is_corrected_in_its_own_split_where_it_can_be():
    before: list[Row] = [("x", "a", "train"), ("x", "a", "test")]
    after: list[Row] = [("x", "b", "test"), ("x", "c", "train")]

    shown = diff(before, after).relabelled.examples

    assert [(change.split_before, change.split_after) for change in shown] == [
        ("train", "train"),
        ("test", "test"),
    ]


def test_more_rows_than_before_are_added_after_those_that_changed():
    before: list[Row] = [("x", "a", "train")]
    after: list[Row] = [("x", "b", "train"), ("x", "a", "test"), ("x", "c", "train")]

    found = diff(before, after)

    assert (found.moved.rows, found.added.rows, found.relabelled.rows) == (1, 2, 0)


def test_first_twenty_are_shown_with_two_hundred_characters():
    after: list[Row] = [(f"{i:02}" + "x" * 300, "a", "train") for i in range(50)]

    found = diff([], after)

    assert found.added.rows == 50
    assert len(found.added.examples) == 20
    assert found.added.examples[19].text == "19" + "x" * 198


def test_dataset_has_not_changed_from_itself():
    rows: list[Row] = [("x", "a", "train"), ("x", "a", "train"), ("y", "b", "test")]

    found = diff(rows, rows)

    assert (found.unchanged, found.labels) == (3, [])
    assert (found.added, found.removed, found.relabelled, found.moved) == (NONE, NONE, NONE, NONE)
