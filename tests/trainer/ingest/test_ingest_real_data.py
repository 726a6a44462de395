"""The files of /shared/data, as a user would send them."""

from pathlib import Path

import pytest

from tunery_trainer.protocol.minilm import package_directory

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} is missing: real files are not checked"
)


@pytest.mark.parametrize(
    ("name", "rows", "warnings"),
    [
        ("banking_cr_only", 1499, []),
        ("banking_dups_conflicts", 1800, ["conflicting-duplicates", "exact-duplicates"]),
        ("banking_label_first", 1500, []),
        ("banking_quoted_newlines", 1500, []),
        ("banking_semicolon", 1500, []),
        ("rare_class_1row", 201, ["class-too-small"]),
    ],
)
def test_messy_file_is_accepted(ingest, name, rows, warnings):
    outcome = ingest(DATA / "messy" / f"{name}.csv")

    assert outcome.report.accepted == outcome.report.rows == rows
    assert outcome.warning_codes() == warnings
    assert sum(outcome.ingested.splits.values()) == rows


@pytest.mark.parametrize(
    ("name", "code", "line", "errors"),
    [
        ("banking_empty_and_blank_rows", "empty-text", 4, 645),
        ("banking_ragged_unclosed_quote", "unbalanced-quote", 302, 1),
        ("empty", "empty-file", None, 1),
        ("formula_injection", "invalid-split", None, 1),
        ("header_only", "no-rows", None, 1),
        ("invalid_utf8_midfile", "invalid-utf8", 502, 1),
        ("one_class", "single-class", None, 1),
        ("waimai_gb18030", "invalid-utf8", 2, 1),
        ("waimai_utf8_bom_crlf", "single-class", None, 1),
    ],
)
def test_messy_file_is_rejected(ingest, name, code, line, errors):
    outcome = ingest(DATA / "messy" / f"{name}.csv")

    assert outcome.errors()[0] == (code, line)
    assert outcome.rejected.errors == errors


def test_mixed_labels_are_proposed_for_merging(ingest):
    outcome = ingest(DATA / "messy" / "banking_mixed_labels.csv")

    variants = outcome.report.labels.variants
    assert len(variants) == 12
    assert "null-label" in outcome.warning_codes()


def test_banking77_loses_its_29_leaked_rows(ingest):
    folder = DATA / "banking77"

    outcome = ingest({"train": folder / "train.csv", "test": folder / "test.csv"})

    leakage = outcome.report.leakage
    assert (leakage.exact, leakage.normalised, leakage.near) == (0, 29, 14)
    assert leakage.dropped == 29 + 18
    assert outcome.report.rows == 13083
    assert outcome.ingested.splits["test"] == 3080
    assert len(outcome.ingested.labels) == 77


def test_waimai_has_its_contradictions_and_is_unknown_to_minilm(ingest):
    model = package_directory()
    assert model is not None
    folder = DATA / "waimai_10k"

    outcome = ingest(
        {"train": folder / "train.csv", "test": folder / "test.csv"},
        base_model="minilm-l6",
        tokenizer=str(model / "tokenizer.json"),
    )

    report = outcome.report
    assert (report.conflicts.exact, report.conflicts.texts) == (5 + 2, 13)  # train and test
    assert report.lengths.unknown_share == pytest.approx(0.661, abs=0.02)
    assert "unknown-tokens" in outcome.warning_codes()
