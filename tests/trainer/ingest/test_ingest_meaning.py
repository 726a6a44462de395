"""What rows mean together: labels, duplicates, conflicts, leakage (RELIABILITY.md 3E)."""

import pytest

from tunery.types import LabelVariants


def test_one_label_is_no_classifier(ingest):
    outcome = ingest("text,label\n" + "".join(f"text {i},a\n" for i in range(20)))

    assert outcome.rejected.error.code == "single-class"


def test_as_many_labels_as_rows_is_refused(ingest):
    outcome = ingest("text,label\n" + "".join(f"text {i},label {i}\n" for i in range(60)))

    assert outcome.rejected.error.code == "too-many-classes"


def test_label_of_few_rows_trains_only(ingest, csv_of):
    outcome = ingest(csv_of(60, *[f"rare {i},rare" for i in range(4)]))

    assert outcome.warning("class-too-small").line == 62
    assert [row["label"] for row in outcome.rows("train")].count("rare") == 4


@pytest.mark.parametrize(
    "label",
    [
        "<script>alert(1)</script>",
        "{{7*7}}",
        "__proto__",
        "=cmd|' /C calc'!A0",
        "\tx",
        "NA",
        "标签",
    ],
)
def test_odd_label_is_kept_as_it_is(ingest, csv_of, label):
    outcome = ingest(csv_of(60, *[f"odd {i},{label}" for i in range(6)]))

    assert label in outcome.ingested.labels


def test_label_that_stands_for_nothing_is_kept_and_said(ingest, csv_of):
    outcome = ingest(csv_of(60, *[f"odd {i},nan" for i in range(6)]))

    assert "nan" in outcome.ingested.labels
    assert outcome.warning("null-label").line == 62


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(("10", "9", "-1"), ["-1", "9", "10"]), (("10", "9", "b"), ["10", "9", "b"])],
)
def test_labels_are_sorted_by_number_if_all_are(ingest, labels, expected):
    rows = "".join(f"text {i},{labels[i % 3]}\n" for i in range(90))

    outcome = ingest(f"text,label\n{rows}")

    assert outcome.ingested.labels == expected


@pytest.mark.parametrize(
    ("variant", "why"),
    [("Ham", ["case"]), ("ham ", ["space"]), ("ｈａｍ", ["width"]), ("HAM ", ["case", "space"])],
)
def test_spellings_of_one_label_are_proposed_with_the_difference(ingest, csv_of, variant, why):
    outcome = ingest(csv_of(60, *[f"more {i},{variant}" for i in range(6)]))

    expected = LabelVariants(canonical="ham", variants={variant: 6}, why=why)
    assert outcome.report.labels.variants == [expected]
    assert outcome.warning_codes() == ["near-duplicate-labels"]
    assert len(outcome.ingested.labels) == 3


def test_spellings_are_merged_into_the_commonest_by_policy(ingest, csv_of):
    outcome = ingest(csv_of(60, "more,HAM "), policies={"labels": "merge"})

    assert outcome.ingested.labels == ["ham", "spam"]
    assert outcome.rows()[-1]["label"] == "ham"


def test_empty_texts_are_dropped_and_counted_by_policy(ingest, csv_of):
    outcome = ingest(csv_of(60, ",ham", " ,ham"), policies={"empty": "drop"})

    assert (outcome.report.rows, outcome.report.accepted) == (62, 60)
    assert outcome.warning("empty-text").message == "2 rows without a text left out"


@pytest.mark.parametrize(("policy", "accepted", "dropped"), [("keep", 62, 0), ("drop", 60, 2)])
def test_repeated_rows_are_counted_and_kept_or_dropped(ingest, csv_of, policy, accepted, dropped):
    repeats = ["text number 1,ham"] * 2

    outcome = ingest(csv_of(60, *repeats), policies={"duplicates": policy})

    duplicates = outcome.report.duplicates
    assert outcome.report.accepted == accepted
    assert (duplicates.exact, duplicates.dropped) == (2, dropped)
    assert duplicates.groups[0].lines == [3, 62, 63]


@pytest.mark.parametrize(("policy", "lines"), [("keep", 4), ("majority", 3), ("drop", 0)])
def test_contradictions_are_settled_by_policy(ingest, csv_of, policy, lines):
    extra = ["Is it?,ham", "is it,ham", "is it!,spam", "IS IT,ham"]

    outcome = ingest(csv_of(60, *extra), policies={"conflicts": policy})

    assert outcome.report.conflicts.texts == 1
    assert outcome.report.conflicts.dropped == 4 - lines
    assert len([row for row in outcome.rows() if row["line"] > 61]) == lines


@pytest.mark.parametrize(
    ("policy", "code"),
    [("conflicts", "conflicting-duplicates"), ("labels", "near-duplicate-labels")],
)
def test_suspicions_reject_by_policy(ingest, csv_of, policy, code):
    outcome = ingest(csv_of(60, "text number 1,Ham"), policies={policy: "reject"})

    assert outcome.rejected.error.code == code


@pytest.mark.parametrize(("policy", "kept", "dropped"), [("drop_from_train", 0, 2), ("warn", 2, 0)])
def test_training_rows_that_test_has_are_settled_by_policy(ingest, csv_of, policy, kept, dropped):
    files = {
        "train": csv_of(60, "Where is it?,ham", "where is IT,ham"),
        "test": "text,label\nwhere is it,ham\nanother,spam\n",
    }

    outcome = ingest(files, policies={"leakage": policy})

    leakage = outcome.report.leakage
    held = [row for row in outcome.rows("train", "validation") if row["line"] > 61]
    assert len(held) == kept
    assert (leakage.exact, leakage.normalised, leakage.dropped) == (0, 1, dropped)
    assert leakage.examples[0].lines == [62, 2]


def test_leakage_rejects_by_policy(ingest, csv_of):
    files = {"train": csv_of(60), "test": csv_of(1)}

    outcome = ingest(files, policies={"leakage": "reject"})

    finding = outcome.report.errors[0]
    assert (finding.code, finding.line, finding.split) == ("leakage", 2, "train")


def test_test_label_that_train_lacks_is_refused(ingest, csv_of):
    files = {"train": csv_of(60), "test": "text,label\nx,ham\ny,eggs\n"}

    outcome = ingest(files)

    finding = outcome.report.errors[0]
    assert (finding.code, finding.line, finding.split) == ("unseen-label", 3, "test")


def test_finding_names_the_split_file(ingest, csv_of):
    files = {"train": csv_of(60), "test": "text,label\nx,ham\nragged\n"}

    outcome = ingest(files)

    assert [finding.split for finding in outcome.report.errors] == ["test"]


def test_text_of_signs_only_differs_from_another_one(ingest, csv_of):
    outcome = ingest(csv_of(60, "???,ham", "!!!,spam", "👍,ham", "👎,spam"))

    assert outcome.report.conflicts.texts == 0


def test_equal_texts_are_said(ingest):
    files = {
        "train": "text,label\nx,a\nx,b\nX,a\n",
        "validation": "text,label\nx,b\n",
        "test": "text,label\nx,a\n",
    }

    outcome = ingest(files, policies={"leakage": "warn"})

    assert "constant-text" in outcome.warning_codes()
    assert outcome.ingested.splits == {"train": 3, "validation": 1, "test": 1}
