"""The README and the guide do what they say: every block of code is run, every link leads on."""

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import (
    ROOT,
    Block,
    BlockFailed,
    Session,
    blocks_of,
    last_json,
    same_shape,
    write_small_model,
)

from tunery.types import PROBLEMS
from tunery_server.settings import read_settings

PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = ("sh", "python")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("base") / "small")


@pytest.fixture
def session(tmp_path: Path, base_model: Path) -> Iterator[Session]:
    session = Session(tmp_path, base_model)
    yield session
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=named)
def test_every_block_of_a_page_runs(page: Path, session: Session) -> None:
    output = ""
    for block in blocks_of(page):
        if block.language in RUN:
            output = session.run(block)
        elif block.language == "json":
            missing = list(same_shape(json.loads(block.text), last_json(output)))
            assert missing == [], f"line {block.line}"
        elif block.language == "ini":
            check_unit(block)
        else:
            raise BlockFailed(f"line {block.line}: nothing runs a block of {block.language}")


def check_unit(block: Block) -> None:
    """Hold a unit's command line against the settings there are."""
    unit = configparser.ConfigParser()
    unit.read_string(block.text)
    program, command, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(program).name, command) == ("tunery", "serve")
    read_settings(arguments, {})


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_code_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    codes = set(re.findall(r"tunery problems ([a-z][a-z-]+)|/problems/([a-z][a-z-]+)", text))

    assert {code for pair in codes for code in pair if code} - set(PROBLEMS) == set()


def test_a_block_that_fails_is_seen(session: Session) -> None:
    with pytest.raises(BlockFailed, match="line 3"):
        session.run(Block(language="sh", text="false\ntrue\n", line=3))
    with pytest.raises(BlockFailed, match="ZeroDivisionError"):
        session.run(Block(language="python", text="1 / 0\n", line=9))


def test_what_a_page_shows_and_nobody_prints_is_seen() -> None:
    shown = {"rows": 3, "labels": [{"label": "a"}], "name": "x"}
    printed = {"rows": "3", "labels": []}

    assert list(same_shape(shown, printed)) == [
        "/rows is '3', not like 3",
        "/labels is empty",
        "/name is not there",
    ]
