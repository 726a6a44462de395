"""Labels that look like one, and characters in them that deceive the eye."""

import pytest

from tunery.types import LabelVariants
from tunery_trainer.ingest.meanings import (
    find_variants,
    hidden_characters,
    skeleton,
    strange_letters,
)


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        ("Ham", ["case"]),
        ("ham ", ["space"]),
        ("ｈａｍ", ["width"]),
        ("HAM ", ["case", "space"]),
        ("h\u0430m", ["look-alike"]),
        ("ham\u200b", ["look-alike"]),
        ("\u202eham", ["look-alike"]),
        ("НАМ", ["case", "look-alike"]),
    ],
)
def test_spellings_of_one_label_are_grouped_with_the_difference(variant, why):
    found = find_variants({"ham": 5, variant: 2, "spam": 7})

    assert found == [LabelVariants(canonical="ham", variants={variant: 2}, why=why)]


def test_composed_and_decomposed_letters_are_one_label():
    found = find_variants({"caf\u00e9": 5, "cafe\u0301": 2})

    assert found == [
        LabelVariants(canonical="caf\u00e9", variants={"cafe\u0301": 2}, why=["composition"])
    ]


def test_case_of_letters_that_look_latin_in_capitals_alone_is_case():
    found = find_variants({"тест": 3, "Тест": 1})

    assert found == [LabelVariants(canonical="тест", variants={"Тест": 1}, why=["case"])]


def test_words_of_one_meaning_are_grouped_in_both_languages():
    found = find_variants({"yes": 40, "是": 120, "YES ": 2, "no": 50, "否": 3})

    assert found == [
        LabelVariants(
            canonical="是", variants={"yes": 40, "YES ": 2}, why=["case", "space", "meaning"]
        ),
        LabelVariants(canonical="no", variants={"否": 3}, why=["meaning"]),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("positive", "正面"),
        ("pos", "好评"),
        ("负面", "negative"),
        ("差评", "neg"),
        ("spam", "垃圾"),
        ("true", "yes"),
    ],
)
def test_meanings_of_the_table(first, second):
    found = find_variants({first: 2, second: 1, "else": 1})

    assert [(each.canonical, each.variants, each.why) for each in found] == [
        (first, {second: 1}, ["meaning"])
    ]


def test_numbers_and_letters_count_beside_a_word_of_their_family():
    found = find_variants({"yes": 3, "1": 2, "Y": 1, "no": 3, "0": 2})

    assert [(each.canonical, each.variants) for each in found] == [
        ("yes", {"1": 2, "Y": 1}),
        ("no", {"0": 2}),
    ]


@pytest.mark.parametrize(
    "labels",
    [
        ("1", "0"),
        ("1", "Y"),
        ("yes", "1", "2"),
        ("yes", "0", "1", "-1"),
        ("yes", "y", "x"),
        ("y", "是吗"),
        ("O", "0"),
        ("l", "1"),
        ("card_arrival", "card arrival"),
        ("positive", "negative"),
        ("好", "正面"),
        ("α", "a"),
    ],
)
def test_labels_that_may_mean_different_things_stay_apart(labels):
    assert find_variants(dict.fromkeys(labels, 1)) == []


def test_of_equally_common_spellings_the_first_in_sort_order_is_canonical():
    found = find_variants({"ham": 2, "Ham": 2, "HAM": 1})

    assert found[0].canonical == "Ham"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("plain", "plain"),
        ("p\u0430yp\u0430l", "paypal"),
        ("ＡＢ\u200b", "AB"),
        ("e\u2011mail", "e-mail"),
        ("\u039f\u212a", "OK"),
        ("标签", "标签"),
    ],
)
def test_skeleton_is_what_the_eye_sees(label, expected):
    assert skeleton(label) == expected


def test_hidden_characters_are_named():
    assert hidden_characters("a\u200bb\u202ec\u200b") == [
        "U+200B ZERO WIDTH SPACE",
        "U+202E RIGHT-TO-LEFT OVERRIDE",
    ]


@pytest.mark.parametrize(
    "label",
    ["plain", "标签", "👨\u200d👩\u200d👧", "❤\ufe0f\u200d🔥", "می\u200cخواهم", "क्\u200dष"],
)
def test_joiners_that_a_script_or_an_emoji_needs_are_not_hidden(label):
    assert hidden_characters(label) == []


@pytest.mark.parametrize("label", ["ham\u200d", "是\u200d否", "a\u200cb"])
def test_joiners_that_join_nothing_are_hidden(label):
    assert len(hidden_characters(label)) == 1


def test_letters_of_another_script_in_a_latin_word_are_named():
    assert strange_letters("p\u0430yp\u0430l") == ["U+0430 CYRILLIC SMALL LETTER A"]
    assert strange_letters("Класс A") == []
    assert strange_letters("тест") == []
