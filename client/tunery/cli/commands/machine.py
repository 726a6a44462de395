"""`tunery serve`, `doctor`, `metrics` and `completion`: what concerns the machine."""

import os
import sys

import click
from click.shell_completion import get_completion_class
from rich.text import Text

from tunery.cli.diagnosis import diagnose
from tunery.cli.options import Command
from tunery.cli.programs import require
from tunery.cli.tables import table
from tunery.cli.terminal import Terminal

_SERVER_MODULES = ("tunery_server", "litestar", "sqlalchemy", "uvicorn")
_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "fault": ("✗", "red"), "": ("·", "dim")}


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("settings", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def serve(terminal: Terminal, settings: tuple[str, ...]) -> None:
    """Start the service. `tunery serve --help` lists its settings."""
    require(
        _SERVER_MODULES,
        terminal.translate(
            "this needs the server, which is not installed here. Install it:\n"
            "    pip install 'tunery[server,trainer,minilm]'"
        ),
    )
    # Replaced, not started: the service is the process that was asked for and gets its signals.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "tunery_server", *settings])


@click.command(cls=Command)
@click.pass_obj
def doctor(terminal: Terminal) -> int:
    """Look for what is missing or wrong. Says what to do about it, and mends nothing."""
    with terminal.notes.status(terminal.translate("looking")):
        findings = list(diagnose(terminal))
    if terminal.json:
        terminal.data(findings)
    else:
        rows = [
            (
                Text(*_MARKS[each.verdict]),
                terminal.translate(each.name),
                Text.assemble(each.found, (f"\n{each.advice}" if each.advice else "", "dim")),
            )
            for each in findings
        ]
        terminal.show(table(["", "", ""], rows, terminal.translate))
    return 1 if any(each.verdict == "fault" for each in findings) else 0


@click.command(cls=Command)
@click.pass_obj
def metrics(terminal: Terminal) -> None:
    """Print the metrics of the service. They are in the Prometheus text format."""
    terminal.text(terminal.client.metrics().splitlines())


@click.command(cls=click.Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script. Source it in the profile of SHELL."""
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "tunery", "_TUNERY_COMPLETE").source())
