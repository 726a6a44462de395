"""The wording: everything that the report says can be said in Chinese."""

import ast
import re
from pathlib import Path

from tunery_server.report.chinese import CHINESE
from tunery_server.report.wording import GLOSSARY, TITLES, WISHES, translator

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
