"""Failures: what a command prints when it can't do what was asked, and how it exits."""

import os
import sys

import click
from rich.text import Text

from tunery.cli.terminal import Terminal
from tunery.cli.wording import usage_problem
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    DatasetRejected,
    DeploymentFailed,
    JobCancelled,
    JobFailed,
    NotConfigured,
    TimedOut,
    TuneryError,
)
from tunery.types import FieldError

REFUSED, USAGE, REJECTED, FAILED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130


class CommandFailed(Exception):
    """A command can't go on; the message says why, the code is the exit status."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: BaseException, terminal: Terminal) -> int:
    """Tell the user what went wrong and return the exit status; what is a bug is raised."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.UsageError():
            return _usage(error, terminal)
        case KeyboardInterrupt() | click.Abort():
            terminal.notes.print()
            return INTERRUPTED
        case BrokenPipeError():  # `tunery … | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case CommandFailed():
            _print(str(error), "", terminal)
            return error.code
        case TuneryError():
            return _failure(error, terminal)
        case OSError() if error.filename is not None:
            _print(f"{error.filename}: {error.strerror}", "", terminal)
            return USAGE
        case _:
            raise error


def _usage(error: click.UsageError, terminal: Terminal) -> int:
    if error.ctx is not None:
        terminal.notes.print(error.ctx.get_usage(), markup=False)
    _print(usage_problem(error, terminal.translate), "", terminal)
    if error.ctx is not None:
        terminal.say("See {command} --help", command=error.ctx.command_path)
    return USAGE


def _failure(error: TuneryError, terminal: Terminal) -> int:
    if terminal.json:
        told = {
            "code": error.code,
            "message": error.args[0] if error.args else "",
            "hint": error.hint,
            "errors": error.errors,
            "request_id": error.request_id,
        }
        terminal.data({"error": told})
    else:
        _print(_message(error, terminal), _advice(error, terminal), terminal)
    match error:
        case DatasetRejected():
            return REJECTED
        case JobFailed() | JobCancelled() | DeploymentFailed():
            return FAILED
        case ConnectionFailed() | TimedOut():
            return UNREACHABLE
        case NotConfigured():
            return USAGE
        case _:
            return REFUSED


def _message(error: TuneryError, terminal: Terminal) -> str:
    match error:
        case ConnectionFailed() | TimedOut():
            url = terminal.client.url
            return terminal.translate("{url} does not answer: {why}", url=url, why=error)
        case ApiError():
            places = [
                f"\n  {each.pointer}: {each.message}"
                for each in error.errors
                if isinstance(each, FieldError) and each.message not in str(error)
            ]
            return f"{error.args[0]}{''.join(places)}"
        case _:
            return str(error)


def _advice(error: TuneryError, terminal: Terminal) -> str:
    parts: list[str] = []
    if isinstance(error, ConnectionFailed):
        parts.append(terminal.translate("Is it running? Start it with: tunery serve"))
    if isinstance(error, ApiError) and error.hint:
        parts.append(error.hint)
    if isinstance(error, JobFailed) and error.job is not None:
        parts.append(terminal.translate("Its log: tunery jobs logs {id}", id=error.job.id))
    if error.code:
        parts.append(terminal.translate("More: tunery problems {code}", code=error.code))
    return "\n".join(parts)


def _print(message: str, advice: str, terminal: Terminal) -> None:
    label = terminal.translate("error")
    terminal.notes.print(Text.assemble((f"{label}: ", "bold red"), message))
    if advice:
        terminal.notes.print(Text(advice, style="dim"))
