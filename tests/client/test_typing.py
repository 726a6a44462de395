"""The types of the SDK, as both type checkers see them from a user's program."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "typing"
ROOT = FOLDER.parents[2]
BIN = Path(sys.prefix) / "bin"
pytestmark = pytest.mark.slow


def marked(name: str) -> set[int]:
    lines = (FOLDER / name).read_text("utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if "# error" in line}


def found_by_mypy(name: str, folder: Path) -> set[int]:
    command = [str(BIN / "mypy"), "--strict", "--config-file=", "--cache-dir", str(folder)]
    done = subprocess.run(
        [*command, str(FOLDER / name)], cwd=ROOT / "client", capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    return {int(line) for line in re.findall(r"\.py:(\d+): error:", done.stdout)}


def found_by_pyright(name: str, folder: Path) -> set[int]:
    config = folder / "pyrightconfig.json"
    settings = {
        "include": [name],
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT / "client")],
        "reportUnusedExpression": "none",
    }
    shutil.copy(FOLDER / name, folder)
    config.write_text(json.dumps(settings))
    command = [str(BIN / "pyright"), "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "-p", str(config)], capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] >= 1
    return {
        each["range"]["start"]["line"] + 1
        for each in found["generalDiagnostics"]
        if each["severity"] == "error"
    }


@pytest.mark.parametrize("check", [found_by_mypy, found_by_pyright])
@pytest.mark.parametrize("name", ["user.py", "wrong.py"])
def test_errors_are_found_on_the_marked_lines_and_only_there(
    check: object, name: str, tmp_path: Path
) -> None:
    assert callable(check)

    assert check(name, tmp_path) == marked(name)
