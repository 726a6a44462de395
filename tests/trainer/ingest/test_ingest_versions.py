"""What stays where it is when a dataset grows, and the other ways to split."""

import csv
import io
import random
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from tunery.types import SPLITS, SplitSpec
from tunery_trainer.ingest.near import JACCARD
from tunery_trainer.ingest.normalise import Normaliser

BANKING = Path(__file__).parents[4] / "shared" / "data" / "banking77" / "train.csv"
needs_banking = pytest.mark.skipif(not BANKING.is_file(), reason=f"{BANKING} is missing")
WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("rn", "st", "lt", "nd", "mp")]


def written(rows):
    out = io.StringIO()
    csv.writer(out).writerows([("text", "label"), *rows])
    return out.getvalue()


def sentences(count, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=14)) for _ in range(count)]


def grams_of(text):
    return {text[i : i + 5] for i in range(len(text) - 4)}


def jaccard(one, other):
    return len(one & other) / max(1, len(one | other))


def places(outcome):
    return {row["text"]: split for split in SPLITS for row in outcome.rows(split)}


@pytest.fixture
def grown(ingest, tmp_path):
    """Ingest rows, then more of them as the next version; return where each text stood."""

    def grown(rows, more, **fields):
        first = ingest(written(rows), **fields)
        before = places(first)
        parent = tmp_path / "parent"
        shutil.copytree(first.directory, parent)
        return before, ingest(written([*rows, *more]), parent_dir=str(parent), **fields)

    return grown


def test_old_rows_stay_and_near_copies_join_them(grown):
    texts = sentences(400, seed=1)
    rows = [(text, "ab"[i % 2]) for i, text in enumerate(texts)]
    copies = [(f"{text} now", "ab"[i % 2]) for i, text in enumerate(texts[:100])]
    fresh = [(text, "a") for text in sentences(100, seed=2)]

    before, outcome = grown(rows, [*copies, *fresh])

    after = places(outcome)
    assert before.items() <= after.items()
    assert all(after[copy] == after[copy.removesuffix(" now")] for copy, _ in copies)
    assert outcome.report.leakage.bridging == 0


def test_a_row_between_two_splits_is_left_out_and_listed(grown):
    texts = sentences(400, seed=3)
    rows = [(text, "ab"[i % 2]) for i, text in enumerate(texts)]
    # Each differs from its own text at one end, and the pair from one another at both.
    pairs = [(f"alpha {text}", f"{text} omega") for text in sentences(60, seed=4)]
    rows += [(text, "a") for pair in pairs for text in pair]
    bridges = [(f"alpha {pair[1]}", "a") for pair in pairs]

    before, outcome = grown(rows, bridges)

    torn = {bridge for (bridge, _), pair in zip(bridges, pairs, strict=True)
            if before[pair[0]] != before[pair[1]]}  # fmt: skip
    after = places(outcome)
    assert before.items() <= after.items()
    assert torn
    assert torn.isdisjoint(after)
    assert outcome.report.leakage.bridging == len(torn)
    assert outcome.report.dropped_total == len(torn)
    assert (outcome.directory / "findings.ndjson").read_text().count("bridging-row") >= len(torn)


@needs_banking
def test_real_file_grows_by_a_fifth_without_a_near_pair_across_the_wall(grown):
    with BANKING.open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]
    rng = random.Random(5)
    more = []
    for text, label in rng.sample(rows, 2000):
        words = text.split()
        more.append((" ".join([*words, rng.choice(("please", "thanks", "now"))]), label))

    before, outcome = grown(rows, more)

    after = places(outcome)
    assert [text for text in before if before[text] != after.get(text)] == []
    assert across(after) == 0


def across(where):
    """Count, by comparing exactly, the near pairs that stand in different splits."""
    normaliser = Normaliser()
    grams = {text: grams_of(normaliser.fold(text)) for text in where}
    common = Counter(gram for found in grams.values() for gram in found)
    rarest = {}
    for text in where:  # pairs that share none of the grams of a text's rarest tenth can't be near
        ordered = sorted(grams[text], key=lambda gram: (common[gram], gram))
        for gram in ordered[: int((1 - JACCARD) * len(ordered)) + 1]:
            rarest.setdefault(gram, []).append(text)
    candidates = {pair for texts in rarest.values() for pair in combinations(texts, 2)}
    apart = [pair for pair in candidates if where[pair[0]] != where[pair[1]]]
    return sum(jaccard(grams[left], grams[right]) >= JACCARD for left, right in apart)


def test_rows_of_a_group_share_a_split(ingest):
    texts = sentences(600, seed=6)
    rows = [f"{text},{'ab'[i % 2]},g{i // 6}" for i, text in enumerate(texts)]

    outcome = ingest("text,label,who\n" + "\n".join(rows), split=SplitSpec(group_by="who"))

    where = places(outcome)
    assert all(len({where[text] for text in texts[i : i + 6]}) == 1 for i in range(0, 600, 6))
    assert len(outcome.rows("test")) == pytest.approx(90, abs=24)


def test_oldest_rows_train_and_newest_test(ingest):
    texts = sentences(200, seed=7)
    rows = [f"{text},{'ab'[i % 2]},2026-01-{1 + i % 20:02}" for i, text in enumerate(texts)]

    outcome = ingest("text,label,day\n" + "\n".join(rows), split=SplitSpec(time_column="day"))

    days = {split: {i % 20 for i, text in enumerate(texts) if places(outcome)[text] == split}
            for split in SPLITS}  # fmt: skip
    assert max(days["train"]) < min(days["validation"])
    assert max(days["validation"]) < min(days["test"])


def test_time_that_is_none_is_said(ingest):
    rows = "\n".join(f"{text},{'ab'[i % 2]},{i}" for i, text in enumerate(sentences(60, seed=8)))

    outcome = ingest(f"text,label,day\n{rows}\nlast,a,soon\n", split=SplitSpec(time_column="day"))

    assert outcome.errors() == [("invalid-time", 62)]


def test_a_column_says_the_split(ingest):
    names = ["train", "dev", "Test"]
    rows = [f"{text},{'ab'[i % 2]},{names[i % 3]}" for i, text in enumerate(sentences(90, seed=9))]

    outcome = ingest("text,label,part\n" + "\n".join(rows), split=SplitSpec(column="part"))

    assert outcome.ingested.splits == {"train": 30, "validation": 30, "test": 30}


def test_a_split_that_is_none_is_said(ingest):
    rows = "\n".join(f"{text},{'ab'[i % 2]},train" for i, text in enumerate(sentences(60, seed=9)))

    outcome = ingest(f"text,label,part\n{rows}\nlast,a,later\n", split=SplitSpec(column="part"))

    assert ("invalid-split", 62) in outcome.errors()


@pytest.mark.parametrize("count", [200, 500])
def test_shares_of_a_label_of_a_hundred_rows_are_held(ingest, count):
    labels = ["ab"[i % 2] for i in range(count)]

    outcome = ingest(written(zip(sentences(count, seed=10), labels, strict=True)))

    counts = outcome.report.labels.counts
    for split, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        for label in "ab":
            assert counts[split][label] / (count / 2) == pytest.approx(share, abs=0.0201)
