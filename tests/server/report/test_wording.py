"""The wording: everything that the report says can be said in Chinese."""

import ast
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.trainer.evaluate.test_findings import found_in, report

from tunery.types import EvaluationFinding, FitVerdict, Lineage
from tunery_server.report.chinese import CHINESE, SENTENCES
from tunery_server.report.wording import GLOSSARY, TITLES, WISHES, sentence, translator
from tunery_server.supervisor.reuse import worn
from tunery_trainer.evaluate import findings
from tunery_trainer.evaluate.fit_verdict import fit_findings

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "server" / "tunery_server" / "report" / "templates"
FINDINGS = [
    *(ROOT / "trainer" / "tunery_trainer" / "evaluate").glob("*.py"),
    ROOT / "server" / "tunery_server" / "supervisor" / "reuse.py",
]
WORDS = {"good", "over-fit", "under-fit", "unclear", "length", "script"}  # that evaluations hold


def said() -> set[str]:
    """Return the messages of the templates."""
    sources = [path.read_text("utf-8") for path in TEMPLATES.iterdir()]
    quoted = [text for source in sources for text in re.findall(r'\bt\("((?:[^"])*)"', source)]
    titles = re.findall(r'\("\w+", "([^"]+)", ', (TEMPLATES / "page.html").read_text("utf-8"))
    return {*quoted, *titles, *GLOSSARY.values(), *TITLES.values(), *WISHES.values(), *WORDS}


def advice() -> set[str]:
    """Return what findings advise: each `advice=` of a module, or the constant that it names."""
    found = set()
    for path in FINDINGS:
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        named = {name for name in constants if name in ("_ADVICE", "_OVER", "_UNDER")}
        found |= {constants[name] for name in named}
        found |= {
            node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword)
            and node.arg == "advice"
            and isinstance(node.value, ast.Constant)
        }
    return found


def test_everything_that_is_said_can_be_said_in_chinese_and_nothing_is_left_over() -> None:
    assert len(advice()) > 8
    assert said() | advice() == set(CHINESE)


def test_chinese_messages_have_the_values_of_the_english_ones() -> None:
    def values(text: str) -> list[str]:
        return sorted(re.findall(r"{\w+}", text))

    assert {en for en, zh in CHINESE.items() if values(en) != values(zh)} == set()


def test_a_message_that_is_not_known_is_said_as_it_is() -> None:
    assert translator("zh")("{new} advice") == "{new} advice"


def found() -> dict[str, EvaluationFinding]:
    """Return a finding of each type that has words of its own, as evaluations make them."""
    targets, chosen = np.repeat(np.arange(3), 100), np.repeat(np.arange(3), 100)
    chosen[:60] = 1
    sure, unsure = np.full(200, 0.95), np.full(200, 0.3)
    hits = np.arange(200) % 2 == 0
    fit = FitVerdict(verdict="over-fit", metric="accuracy", train=0.9, validation=None, test=0.5,
                     gap=0.4, low=0.3, high=0.5, baseline=0.8)  # fmt: skip
    lineage = Lineage(datasets=[], lost=[], compared=9, overlap=3, without={})
    every = [
        *found_in(targets, chosen, 3),
        *findings.miscalibration(sure, hits, 0.4),
        *findings.miscalibration(unsure, hits, 0.2),
        *fit_findings(fit),
        *fit_findings(msgspec.structs.replace(fit, verdict="under-fit")),
        *findings.seen_in_training(lineage, {}, "accuracy", 10),
        *worn("test", 9),
        *findings.echoes(report(leakage={"normalised": 3, "near": 2}, conflicts={"texts": 4})),
    ]
    return {each.type: each for each in every}


def test_findings_are_told_in_chinese_with_their_numbers() -> None:
    every = found()

    assert every.keys() == SENTENCES.keys()
    for each in every.values():
        told = sentence(each, "zh")
        assert told != each.message
        assert sentence(each, "en") == each.message
        assert re.findall(r"[0-9.]+", told)[0] in f"{each.message} {each.numbers}"


@pytest.mark.parametrize("type", ["weak-slice", "weak-class"])
def test_a_finding_without_words_or_their_numbers_is_told_as_it_is(type: str) -> None:
    finding = EvaluationFinding(type=type, label="a", message="so", numbers={}, advice="do")

    assert sentence(finding, "zh") == "so"
