"""Profile: scripts of the texts, and their lengths in tokens."""

from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tunery_trainer.ingest.findings import Notes
from tunery_trainer.ingest.profile import MAX_SAMPLE, Profile


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """Write a tokenizer that knows `a` and `b`, and asks for padding and truncation."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(8)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def profile_of(texts: list[str | None], path: Path | None = None, positions: int = 64) -> Profile:
    profile = Profile("tiny", path, positions)
    profile.add(pa.array(texts, pa.string()))
    return profile


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Straße", "latin"),
        ("Ａｂｃ", "latin"),
        ("中文𠮷", "han"),
        ("ひらカタ", "kana"),
        ("한국어", "hangul"),
        ("Привет", "cyrillic"),
        ("αβγ", "greek"),
        ("سلام", "arabic"),
        ("שלום", "hebrew"),
        ("नमस", "devanagari"),
        ("กขค", "thai"),
        ("ქართ", "other"),
        ("😀🚀🦀☀", "emoji"),
    ],
)
def test_letters_belong_to_their_script(text, script):
    assert profile_of([text + " 12,3。！ ×"]).scripts() == {script: 1.0}


def test_scripts_are_shares_of_all_letters_and_emoji():
    profile = profile_of(["abc", "中文", None, "😀 12345 !?"])
    profile.add(pa.array(["xx", "yyyy", "zz"], pa.large_string()).slice(1, 1))

    assert profile.scripts() == {"latin": 0.7, "han": 0.2, "emoji": 0.1}


@pytest.mark.parametrize("texts", [[], [""], [None], ["12 !"]])
def test_without_letters_there_are_no_scripts(texts):
    assert profile_of(texts).scripts() == {}


def test_lengths_are_counted_in_tokens_without_truncation(tokenizer_file):
    texts: list[str | None] = ["a " * words for words in range(1, 101)]

    lengths = profile_of(texts, tokenizer_file, positions=512).lengths()

    assert lengths is not None
    # Two special tokens each: texts have 3 to 102.
    assert (lengths.p50, lengths.p95, lengths.p99, lengths.max) == (53, 98, 102, 102)
    assert lengths.sampled == 100
    assert lengths.truncated_at == {"64": 0.38, "128": 0.0, "256": 0.0, "512": 0.0}
    assert lengths.suggested_max_length == 104
    assert lengths.unknown_share == 0.0


@pytest.mark.parametrize(("words", "expected"), [(1, 16), (15, 24), (14, 16), (500, 64)])
def test_suggested_length_is_a_multiple_of_8_that_the_model_takes(tokenizer_file, words, expected):
    lengths = profile_of(["a " * words], tokenizer_file).lengths()

    assert lengths is not None
    assert lengths.suggested_max_length == expected


def test_unknown_tokens_are_a_share_of_those_that_are_not_special(tokenizer_file):
    profile = profile_of(["a b x", "y"], tokenizer_file)
    notes = Notes()

    profile.warn(notes)

    lengths = profile.lengths()
    assert lengths is not None
    assert lengths.unknown_share == 0.5
    (finding,) = notes.warnings.sorted()
    assert finding.code == "unknown-tokens"
    assert finding.message == "50.0% of the tokens are unknown to 'tiny'"


def test_texts_beyond_the_positions_of_the_model_are_said(tokenizer_file):
    profile = profile_of([*["a"] * 97, *["a " * 99] * 3], tokenizer_file)
    notes = Notes()

    profile.warn(notes)

    (finding,) = notes.warnings.sorted()
    assert finding.code == "texts-truncated"
    assert finding.message == (
        "3.0% of the texts have more than the 64 tokens that 'tiny' takes; the longest has 101"
    )


def test_one_long_text_in_a_hundred_is_not_said(tokenizer_file):
    profile = profile_of([*["a"] * 99, "a " * 99], tokenizer_file)
    notes = Notes()

    profile.warn(notes)

    assert notes.warnings.total == 0


def test_without_a_tokenizer_there_are_no_lengths():
    profile = profile_of(["a"])
    notes = Notes()

    profile.warn(notes)

    assert profile.lengths() is None
    assert notes.warnings.total == 0


def test_without_texts_there_are_no_lengths(tokenizer_file):
    assert profile_of([None], tokenizer_file).lengths() is None


def test_sample_is_the_same_however_the_texts_come(tokenizer_file):
    texts = pa.array(["a " * (i % 7 + 1) for i in range(30_000)])
    whole, parts = Profile("tiny", tokenizer_file), Profile("tiny", tokenizer_file)

    whole.add(texts)
    for start in range(0, len(texts), 999):
        parts.add(texts.slice(start, 999))

    lengths = whole.lengths()
    assert lengths is not None
    assert lengths.sampled == MAX_SAMPLE
    assert parts.lengths() == lengths


def test_sample_of_long_texts_is_smaller(tokenizer_file):
    profile = Profile("tiny", tokenizer_file)
    for _ in range(40):
        profile.add(pa.array(["a" * 500_000]))

    lengths = profile.lengths()

    assert lengths is not None
    assert lengths.sampled == 16
