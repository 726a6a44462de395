"""The command line: `tunery serve …` starts the service, `tunery --version` names this one.

Knows neither server nor trainer: it replaces itself with `python -m tunery_server`, so that the
service is the process that was asked for and gets its signals.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence

from tunery import __version__

# The wheel carries the package of the server in any case; the extra brings what it imports.
_SERVER_MODULES = ("tunery_server", "litestar", "sqlalchemy", "uvicorn")
_NO_SERVER = """\
tunery serve needs the server, which is not installed here. Install it:
    pip install 'tunery[server,trainer]'"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; `serve` never returns.

    Source: exit status 2 for a command that can't be used, as argparse and the shells have it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["serve"]:  # before argparse, which would take --help and --port for its own
        return _serve(given[1:])
    parser = _parser()
    parser.parse_args(given)
    parser.print_usage(sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tunery", description="Fine-tune a transformer over HTTP and serve it."
    )
    parser.add_argument("--version", action="version", version=f"tunery {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command")
    commands.add_parser(
        "serve", help="start the service; `tunery serve --help` lists its settings", add_help=False
    )
    return parser


def _serve(arguments: list[str]) -> int:
    if all(importlib.util.find_spec(module) for module in _SERVER_MODULES):
        os.execv(sys.executable, [sys.executable, "-m", "tunery_server", *arguments])
    print(_NO_SERVER, file=sys.stderr)
    return 2
