"""What may not be parted, and that it costs no split its share."""

import csv
import io
import random
import shutil
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest

from tunery.types import SPLITS, SplitSpec
from tunery_trainer.ingest.near import JACCARD, Sketches
from tunery_trainer.ingest.normalise import Normaliser
from tunery_trainer.ingest.pulse import Pulse
from tunery_trainer.ingest.table import Spool
from tunery_trainer.ingest.units import clusters_of


def written(rows, *columns):
    out = io.StringIO()
    csv.writer(out).writerows([("text", "label", *columns), *rows])
    return out.getvalue()


def sentence(rng, words=12):
    return " ".join("".join(rng.choices("abcdefghijklmnoprstuvwxyz", k=6)) for _ in range(words))


def shares(outcome, label=None):
    found = [sum(label in (None, row["label"]) for row in outcome.rows(split)) for split in SPLITS]
    return [count / sum(found) for count in found]


def places(outcome):
    return {row["text"]: split for split in SPLITS for row in outcome.rows(split)}


@pytest.mark.parametrize("tested", [2, 1000, 10_000])
def test_a_tenth_of_train_is_carved_however_many_rows_test(ingest, csv_of, tested):
    rng = random.Random(1)
    test = [(f"{sentence(rng, 3)} {i}", ("ham", "spam")[i % 2]) for i in range(tested)]

    splits = ingest({"train": csv_of(1000), "test": written(test)}).ingested.splits

    assert splits["validation"] == pytest.approx(100, abs=40)
    assert splits["train"] + splits["validation"] == 1000


@pytest.mark.parametrize("size", [2, 5, 20])
def test_groups_go_to_every_split_by_its_share(ingest, size):
    rng = random.Random(size)
    rows = [
        (sentence(rng), f"label {rng.randrange(10)}", f"group {i // size}") for i in range(2000)
    ]

    outcome = ingest(written(rows, "customer"), split=SplitSpec(group_by="customer"))

    assert shares(outcome) == pytest.approx([0.7, 0.15, 0.15], abs=0.08)
    where = places(outcome)
    groups = defaultdict(set)
    for text, _, group in rows:
        groups[group].add(where[text])
    assert all(len(found) == 1 for found in groups.values())


def test_families_of_near_copies_do_not_fill_the_test_split(ingest):
    rng = random.Random(3)
    rows = []
    for _ in range(100):
        text = sentence(rng, 14)
        rows += [(f"{text} {end}", "family") for end in ("a", "b", "c", "d", "e")]
    rows += [(sentence(rng), "family") for _ in range(1000)]
    rows += [(sentence(rng), "other") for _ in range(1000)]

    outcome = ingest(written(rows))

    families = Counter(split for text, split in places(outcome).items() if text[-2] == " ")
    assert families["train"] > 250
    assert families["test"] < 150


@pytest.mark.parametrize("seed", range(8))
def test_a_text_of_hundreds_of_rows_leaves_the_shares_as_they_are(ingest, seed):
    rng = random.Random(seed)
    rows = [("ok thanks", "a")] * 400
    rows += [(sentence(rng), "ab"[i >= 600]) for i in range(1600)]

    outcome = ingest(written(rows), split=SplitSpec(seed=seed))

    assert shares(outcome, "a") == pytest.approx([0.7, 0.15, 0.15], abs=0.0201)


def test_a_group_keeps_its_split_when_a_row_of_it_would_bridge(ingest, tmp_path):
    rng = random.Random(6)
    split = SplitSpec(group_by="customer")
    rows = [(sentence(rng), "ab"[i % 2], f"g{i // 3}") for i in range(300)]
    first = ingest(written(rows, "customer"), split=split)
    before = places(first)
    parent = shutil.copytree(first.directory, tmp_path / "parent")
    tested = [text for text, where in before.items() if where == "test"]
    trained = [group for text, _, group in rows if before[text] == "train"][:90:3]
    more = []
    for group, text in zip(trained, tested, strict=False):
        more += [(f"{text} now", "a", group), *((sentence(rng), "a", group) for _ in range(2))]

    outcome = ingest(written([*rows, *more], "customer"), split=split, parent_dir=str(parent))

    after = places(outcome)
    assert before.items() <= after.items()
    assert outcome.report.leakage.bridging == len(more) // 3
    groups = defaultdict(set)
    for text, _, group in [*rows, *more]:
        if text in after:
            groups[group].add(after[text])
    assert all(len(found) == 1 for found in groups.values())
    assert len(after) == 300 + 2 * len(more) // 3


def test_new_rows_of_a_group_that_stands_in_two_splits_are_left_out(ingest, tmp_path):
    rng = random.Random(7)
    rows = [(sentence(rng), "ab"[i % 2], "everyone") for i in range(100)]
    first = ingest(written([row[:2] for row in rows]))
    parent = shutil.copytree(first.directory, tmp_path / "parent")
    more = [(sentence(rng), "a", "everyone") for _ in range(10)]

    outcome = ingest(
        written([*rows, *more], "customer"),
        split=SplitSpec(group_by="customer"),
        parent_dir=str(parent),
    )

    assert outcome.report.leakage.bridging == 10
    assert places(outcome) == places(first)


def test_rows_without_a_group_are_not_one(ingest):
    rng = random.Random(8)
    rows = [(sentence(rng), "ab"[i % 2], "" if i % 5 < 3 else f"g{i}") for i in range(2000)]

    outcome = ingest(written(rows, "customer"), split=SplitSpec(group_by="customer"))

    assert shares(outcome) == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


def test_training_rows_of_a_group_that_test_has_are_left_out(ingest):
    rng = random.Random(9)
    train = [(sentence(rng), "ab"[i % 2], f"g{i % 20}") for i in range(200)]
    test = [(sentence(rng), "ab"[i % 2], f"g{18 + i % 4}") for i in range(40)]

    outcome = ingest(
        {"train": written(train, "customer"), "test": written(test, "customer")},
        split=SplitSpec(group_by="customer"),
    )

    assert outcome.report.leakage.grouped == 20
    assert outcome.report.leakage.dropped == 20
    assert "20 train rows are of groups that 20 rows of test are of" in (
        outcome.warning("leakage").message
    )


def test_few_rows_of_every_label_are_refused(ingest):
    rows = [(f"text number {i} of {i // 4}", f"label {i // 4}") for i in range(12_000)]

    outcome = ingest(written(rows), policies={"near_duplicates": "skip"})

    assert outcome.rejected.error.code in ("invalid-split", "too-many-classes")


def test_a_next_version_that_lacks_a_label_in_train_is_refused(ingest, tmp_path):
    rng = random.Random(10)
    rows = [(sentence(rng), "abc"[i % 3]) for i in range(300)]
    first = ingest(written(rows))
    where = places(first)
    parent = shutil.copytree(first.directory, tmp_path / "parent")
    left = [row for row in rows if row[1] != "c" or where[row[0]] == "test"]

    outcome = ingest(written(left), parent_dir=str(parent))

    assert outcome.rejected.error.code == "unseen-label"


def test_a_text_of_every_split_counts_once_for_each_row(ingest):
    rng = random.Random(11)
    files = {
        split: written([("Same text!", "a"), *((sentence(rng), "ab"[i % 2]) for i in range(20))])
        for split in SPLITS
    }

    leakage = ingest(files).report.leakage

    assert (leakage.exact, leakage.normalised, leakage.dropped) == (2, 2, 2)


def test_templated_texts_meet_their_near_copies_in_a_full_bucket(tmp_path):
    rng = random.Random(12)
    head = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=400))
    texts = []
    for _ in range(600):
        own = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=30))
        texts += [head + own, head + own[:-12] + "".join(rng.choices("0123456789", k=12))]
    spool, sketches = Spool(tmp_path / "texts"), Sketches(tmp_path)
    spool.append(pa.array(texts))
    spool.close()
    sketches.add([text.encode() for text in texts])

    found = sketches.pairs(
        np.arange(len(texts)), spool, Normaliser(), Pulse(lambda event: None, lambda: False)
    )

    def jaccard(one, other):
        one, other = ({text[i : i + 5] for i in range(len(text) - 4)} for text in (one, other))
        return len(one & other) / len(one | other)

    assert all(jaccard(texts[a], texts[b]) >= JACCARD for a, b in found[:50])
    wanted = sum(jaccard(texts[2 * i], texts[2 * i + 1]) >= JACCARD for i in range(600))
    pairs = {tuple(pair) for pair in found.tolist()}
    assert wanted > 500
    assert sum((2 * i, 2 * i + 1) in pairs for i in range(600)) > 0.98 * wanted


def test_clusters_are_what_links_reach():
    links = np.array([[5, 1], [2, 9], [9, 5]])

    assert clusters_of(10, links).tolist() == [0, 1, 1, 3, 4, 1, 6, 7, 8, 1]
    assert clusters_of(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]
