"""The explanation of every problem code, in both languages."""

import json
import re
from importlib import resources
from typing import Literal

import pytest

from tunery.explanations import explanation
from tunery.types import PROBLEMS

Language = Literal["en", "zh"]

COMMANDS = (
    *(
        "serve",
        "datasets check",
        "datasets report",
        "datasets label-issues",
        "jobs show",
        "jobs watch",
        "jobs logs",
    ),
    *("jobs cancel", "jobs pause", "jobs resume", "deploy", "rollback", "doctor", "devices"),
    *("evaluate", "compare", "errors"),
    *("keys list", "keys create", "keys delete", "models", "problems", "evaluations"),
)
HANZI = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"^```.*?^```$|`[^`]+`", re.MULTILINE | re.DOTALL)

both = pytest.mark.parametrize("language", ["en", "zh"])


def text_of(language: Language) -> str:
    return resources.files("tunery.explanations").joinpath(f"{language}.md").read_text("utf-8")


def prose_of(code: str, language: Language) -> str:
    return CODE.sub("", explanation(code, language))


def examples_of(code: str, language: Language) -> list[str]:
    return re.findall(r"^```.*?^```$", explanation(code, language), re.MULTILINE | re.DOTALL)


@both
def test_every_code_has_its_section_in_the_order_of_the_table(language: Language) -> None:
    headings = re.findall(r"^## (.+)$", text_of(language), re.MULTILINE)

    assert headings == list(PROBLEMS)


def test_both_languages_have_the_same_groups() -> None:
    english = re.sub(r"^# .+$", "#", text_of("en"), flags=re.MULTILINE)
    chinese = re.sub(r"^# .+$", "#", text_of("zh"), flags=re.MULTILINE)

    heading = re.compile(r"^(?:#|## .+)$", re.MULTILINE)
    assert heading.findall(english) == heading.findall(chinese)
    assert heading.findall(english)[0] == "#"


@both
def test_an_unknown_code_has_none(language: Language) -> None:
    with pytest.raises(KeyError):
        explanation("no-such-code", language)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_explanation_says_more_than_the_hint(code: str) -> None:
    kind = PROBLEMS[code]

    assert len(explanation(code, "en")) > 2 * len(kind.hint)
    assert len(explanation(code, "zh")) > 2 * len(kind.hint_zh)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_each_language_is_itself(code: str) -> None:
    english, chinese = prose_of(code, "en"), prose_of(code, "zh")

    assert not HANZI.search(english)
    assert len(HANZI.findall(chinese)) > len(chinese) / 3


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_both_languages_show_the_same_examples_and_names(code: str) -> None:
    assert examples_of(code, "en") == examples_of(code, "zh")
    names = [
        {re.sub(r"\s+", " ", name) for name in CODE.findall(explanation(code, language))}
        for language in ("en", "zh")
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_json_examples_are_json(code: str) -> None:
    for example in examples_of(code, "en"):
        if example.startswith("```json"):
            rest = example.removeprefix("```json").removesuffix("```").strip()
            while rest:
                _, end = json.JSONDecoder().raw_decode(rest)
                rest = rest[end:].strip()


@both
def test_commands_that_are_named_exist(language: Language) -> None:
    text = re.sub(r"\s+", " ", text_of(language))
    spans = re.findall(r"`(tunery [^`]*)`", text)
    lines = re.findall(r"^tunery .*$", text_of(language), re.MULTILINE)

    named = spans + lines
    assert len(named) > 20
    assert [
        each for each in named if not each.startswith(tuple(f"tunery {c}" for c in COMMANDS))
    ] == []


@both
def test_no_page_leads_elsewhere(language: Language) -> None:
    assert re.findall(r"\w+://|\]\(|\bwww\.", text_of(language)) == []


@pytest.mark.parametrize("code", sorted(PROBLEMS))
@both
def test_codes_that_are_named_exist(code: str, language: Language) -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", explanation(code, language)))

    assert named <= set(PROBLEMS)
