"""The command line, as a shell sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

import tunery
from tunery.cli import main

CLIENT = Path(tunery.__file__).parents[1]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tunery {tunery.__version__}\n"


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([])

    assert status == 2
    assert "usage: tunery" in capsys.readouterr().err


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sreve"])

    assert ended.value.code == 2
    assert "sreve" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["tunery_server", "litestar"])
def test_serve_without_the_extra_names_the_pip_line(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed

    status = main(["serve", "--port", "9000"])

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert "pip install 'tunery[server,trainer]'" in captured.err


def test_serve_becomes_the_server_with_the_same_arguments(tmp_path: Path) -> None:
    package = tmp_path / "tunery_server"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import os, sys; print(os.getpid(), *sys.argv[1:])")
    for name in ("litestar", "sqlalchemy", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("")
    command = [sys.executable, "-c", "import tunery.cli; tunery.cli.main()"]
    arguments = ["serve", "--help", "--port", "9000", "--data-dir", "a folder"]
    environment = {"PYTHONPATH": f"{tmp_path}:{CLIENT}"}

    process = subprocess.Popen(
        command + arguments, env=environment, stdout=subprocess.PIPE, text=True
    )
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert output == f"{process.pid} --help --port 9000 --data-dir a folder\n"
