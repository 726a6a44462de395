"""Runs a page's blocks of code as a reader would: in order, one shell and one Python a page."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.e2e.service import free_port
from transformers import BertConfig, BertModel

from tunery_trainer.protocol.minilm import MINILM, package_directory

ROOT = Path(__file__).resolve().parents[2]
MARK = "@@ the block is done @@"
FAILED = "@@ the block has failed @@"
PYTHON = """
import code, sys

class Interpreter(code.InteractiveInterpreter):
    def showtraceback(self):
        super().showtraceback()
        sys.exit(1)

interpreter = Interpreter()
while size := sys.stdin.buffer.readline():
    source = sys.stdin.buffer.read(int(size)).decode()
    interpreter.runcode(compile(source, "<block>", "exec"))
    print("\\n" + sys.argv[1], flush=True)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int


class BlockFailed(AssertionError):
    """A block did not run, or printed something else than the page says."""


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of code of a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            language=match[1],
            text=match[2],
            line=text.count("\n", 0, match.start()) + 1,
        )
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


class Session:
    """A reader's terminal: a directory that looks like a clone, a shell, and a Python."""

    def __init__(self, directory: Path, base_model: Path) -> None:
        for name, target in (
            (".venv", Path(sys.prefix)),
            ("tests", ROOT / "tests"),
            ("Makefile", ROOT / "Makefile"),
            ("pyproject.toml", ROOT / "pyproject.toml"),
            ("constraints.txt", ROOT / "constraints.txt"),
        ):
            (directory / name).symlink_to(target)
        self._port = free_port()
        environment = {
            "HOME": str(directory),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TUNERY_PORT": str(self._port),
            "TUNERY_URL": f"http://127.0.0.1:{self._port}",
            "TUNERY_THREADS": "1",
            "TUNERY_SPARES": "0",
            "TUNERY_BASE_MODELS": f"{MINILM}={base_model}",
        }
        self._shell = _started(["bash", "-eu", "-o", "pipefail"], directory, environment)
        # A background process keeps the pipe open: the end of the shell has to be told.
        self._shell.stdin.write(f"trap 'echo; echo {FAILED}' EXIT\n".encode())
        self._python = _started([sys.executable, "-u", "-c", PYTHON, MARK], directory, environment)

    def run(self, block: Block) -> str:
        """Run a block and return what it printed.

        Raises:
            BlockFailed: it did not end well.
        """
        text = block.text.replace("127.0.0.1:8000", f"127.0.0.1:{self._port}")
        if block.language == "python":
            source = text.encode()
            return _output(self._python, b"%d\n%b" % (len(source), source), block)
        text = re.sub(r"^make (\w+)", r"make -n \1", text, flags=re.MULTILINE)  # not this one again
        return _output(self._shell, f"{text}\nprintf '\\n%s\\n' '{MARK}'\n".encode(), block)

    def close(self) -> None:
        """End everything that the blocks have started."""
        for process in (self._shell, self._python):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)  # returns when whatever holds the pipe has ended


def write_small_model(directory: Path) -> Path:
    """Write a model of one narrow layer that reads as MiniLM does, and learns in seconds."""
    package = package_directory()
    assert package is not None
    shutil.copytree(package, directory, ignore=shutil.ignore_patterns("model.safetensors"))
    facts = json.loads((directory / "config.json").read_bytes())
    small = {"num_hidden_layers": 1, "hidden_size": 48, "num_attention_heads": 2}
    config = BertConfig.from_dict(facts | small | {"intermediate_size": 96})
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(directory)
    return directory


def same_shape(shown: Any, printed: Any, place: str = "") -> Iterator[str]:
    """Yield where what was printed lacks something that a page shows, or has another type."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        for name, value in shown.items():
            if name not in printed:
                yield f"{place}/{name} is not there"
            else:
                yield from same_shape(value, printed[name], f"{place}/{name}")
    elif isinstance(shown, list) and isinstance(printed, list):
        if shown and not printed:
            yield f"{place} is empty"
        for i, (one, other) in enumerate(zip(shown, printed, strict=False)):
            yield from same_shape(one, other, f"{place}/{i}")
    elif isinstance(shown, int | float) and isinstance(printed, int | float):
        return
    elif type(shown) is not type(printed):
        yield f"{place} is {printed!r}, not like {shown!r}"


def last_json(output: str) -> Any:
    """Return the last JSON object that an output holds."""
    decoder = json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r"^[{\[]", output, re.MULTILINE)]
    for start in reversed(starts):
        try:
            return decoder.raw_decode(output[start:])[0]
        except ValueError:
            continue
    raise BlockFailed(f"no JSON was printed, but:\n{output}")


def _started(
    command: list[str], directory: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _output(process: Any, sent: bytes, block: Block) -> str:
    process.stdin.write(sent)
    process.stdin.flush()
    lines: list[str] = []
    for raw in process.stdout:
        line = raw.decode(errors="replace")
        if line.strip() == MARK:
            return "".join(lines)
        if line.strip() == FAILED:
            break
        lines.append(line)
    raise BlockFailed(f"the block at line {block.line} failed:\n{''.join(lines)}")
