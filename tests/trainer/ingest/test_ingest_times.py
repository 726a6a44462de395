"""Splits by time: what is older trains, what is newer tests."""

import random
import shutil
import time

import pytest

from tunery.types import SPLITS, SplitSpec

DAY = SplitSpec(time_column="day")


def written(rows):
    return "text,label,day\n" + "".join(f"{text},{label},{day}\n" for text, label, day in rows)


def dated(count, days, seed=0):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklm", k=7)) for _ in range(500)]
    return [
        (" ".join(rng.choices(words, k=8)), "ab"[rng.randrange(2)], f"2026-01-{1 + i % days:02}")
        for i in range(count)
    ]


def days_of(outcome, rows):
    day = {text: day for text, _, day in rows}
    return {split: {day[row["text"]] for row in outcome.rows(split)} for split in SPLITS}


def test_older_rows_train_and_newer_ones_test(ingest):
    rows = dated(600, 20)

    found = days_of(ingest(written(rows), split=DAY), rows)

    assert max(found["train"]) < min(found["validation"])
    assert max(found["validation"]) < min(found["test"])


def test_a_carved_validation_is_the_newest_of_train(ingest):
    rows = [*dated(600, 20), *(("ok then", "a", f"2026-01-{1 + i:02}") for i in range(20))]
    split = SplitSpec(time_column="day", train=0.8, validation=0.0, test=0.2)

    outcome = ingest(written(rows), split=split, policies={"leakage": "warn"})

    found = days_of(outcome, rows[:600] + rows[-1:])
    assert max(found["train"] - {"2026-01-20"}) < min(found["validation"])
    assert outcome.ingested.splits["validation"] == pytest.approx(50, abs=20)


@pytest.mark.parametrize("sizes", [(80, 10, 10), (10, 80, 10), (10, 10, 80), (1, 1, 1)])
def test_each_split_gets_a_moment(ingest, sizes):
    rng = random.Random(4)
    rows = [
        (f"row {rng.random()}", "ab"[i % 2], f"2026-01-{1 + day:02}")
        for day, size in enumerate(sizes)
        for i in range(size * 4)
    ]

    splits = ingest(written(rows), split=DAY).ingested.splits

    assert [splits[split] for split in SPLITS] == [size * 4 for size in sizes]


def test_a_next_version_keeps_the_splits_of_the_parents_rows(ingest, tmp_path):
    rows = dated(300, 10)
    first = ingest(written(rows), split=DAY)
    parent = shutil.copytree(first.directory, tmp_path / "parent")
    more = [(text, label, day.replace("-01-", "-02-")) for text, label, day in dated(150, 10, 1)]

    outcome = ingest(written([*rows, *more]), split=DAY, parent_dir=str(parent))

    before, after = (
        {row["text"]: split for split in SPLITS for row in each.rows(split)}
        for each in (first, outcome)
    )
    assert before.items() <= after.items()
    found = days_of(outcome, more + rows)
    assert "2026-02-10" in found["test"]
    assert "2026-02-01" in found["train"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_time_without_a_zone_depends_on_no_machine(ingest, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    hours = ["2026-03-29T02:30", "2026-03-29T03:10", "2026-03-29T02:50Z"]
    rows = [(f"text {i} {i * 7}", "ab"[i % 2], hours[i % 3]) for i in range(60)]

    found = days_of(ingest(written(rows), split=DAY), rows)

    monkeypatch.undo()
    time.tzset()
    assert [found[split] for split in SPLITS] == [{hours[0]}, {hours[2]}, {hours[1]}]


@pytest.mark.parametrize("odd", ["20260101", "1_000", "tomorrow"])
def test_a_cell_that_is_no_time_as_the_others_are_is_refused(ingest, odd):
    rows = [*dated(60, 10), ("an odd one", "a", odd)]

    outcome = ingest(written(rows), split=DAY)

    assert outcome.errors() == [("invalid-time", 62)]


def test_no_usable_row_is_told_as_such(ingest):
    text = "text,label,day\n,a,2026-01-01\n,b,2026-01-02\n"

    outcome = ingest(text, split=DAY, policies={"empty": "drop"})

    assert outcome.rejected.error.code == "no-rows"


@pytest.mark.parametrize("name", ["time_column", "column"])
def test_rows_of_split_files_are_not_moved(ingest, name):
    files = {"train": written(dated(60, 10)), "test": written(dated(60, 10, 1))}

    outcome = ingest(files, split=SplitSpec(**{name: "day"}))

    assert outcome.rejected.error.code == "invalid-split"
    assert name in outcome.rejected.error.message
