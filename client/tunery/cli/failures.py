"""Failures: what a command prints when it can't do what was asked, and how it exits."""

from contextlib import suppress

import click
from rich.text import Text

from tunery.cli.terminal import Terminal
from tunery.cli.wording import usage_problem
from tunery.errors import (
    ApiError,
    ConnectionFailed,
    DatasetRejected,
    DeploymentFailed,
    EmptyFile,
    FormatMismatch,
    InvalidArgument,
    JobCancelled,
    JobFailed,
    NotConfigured,
    TimedOut,
    TuneryError,
    UnsupportedFormat,
)
from tunery.types import FieldError

# Hints of the service speak HTTP; who sits at a terminal has commands.
_HINTS = {
    "key-not-found": "See: tunery keys list",
    "dataset-not-found": "See: tunery datasets list",
    "dataset-not-ready": "Wait until it is ready; where it was rejected: tunery datasets report ID",
    "label-issues-not-found": "Find them: tunery datasets label-issues DATASET",
    "job-not-found": "See: tunery jobs list",
    "model-not-found": "See: tunery models; what serves: tunery deployments",
    "deployment-not-found": "See: tunery deployments",
}
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
        case CommandFailed():
            _tell(str(error), terminal)
            return error.code
        case TuneryError():
            return _failure(error, terminal)
        case UnicodeEncodeError():  # an argument that is not UTF-8 has half characters in it
            _tell(terminal.translate("{text} is not UTF-8", text=ascii(error.object)), terminal)
            return USAGE
        case OSError() if error.filename is not None:
            _tell(f"{error.filename}: {error.strerror}", terminal)
            return USAGE
        case _:
            raise error


def _usage(error: click.UsageError, terminal: Terminal) -> int:
    if terminal.json:
        _tell(usage_problem(error, terminal.translate), terminal)
        return USAGE
    if error.ctx is not None:
        terminal.notes.print(error.ctx.get_usage(), markup=False)
    _print(usage_problem(error, terminal.translate), "", terminal)
    if error.ctx is not None:
        terminal.say("See {command} --help", command=error.ctx.command_path)
    return USAGE


def _failure(error: TuneryError, terminal: Terminal) -> int:
    if terminal.json:
        _print_json(error, terminal)
    else:
        _print(_message(error, terminal), _advice(error, terminal), terminal)
    match error:
        case DatasetRejected() | EmptyFile() | FormatMismatch() | UnsupportedFormat():
            return REJECTED
        case JobFailed() | JobCancelled() | DeploymentFailed():
            return FAILED
        case ConnectionFailed() | TimedOut():
            return UNREACHABLE
        case NotConfigured() | InvalidArgument():
            return USAGE
        case _:
            return REFUSED


def _tell(message: str, terminal: Terminal) -> None:
    """Print what has no code."""
    if terminal.json:
        _print_json(TuneryError(message), terminal)
    else:
        _print(message, "", terminal)


def _print_json(error: TuneryError, terminal: Terminal) -> None:
    silent = isinstance(error, ConnectionFailed | TimedOut)
    told = {
        "code": error.code,
        "message": _message(error, terminal) if silent else error.args[0],
        "hint": terminal.translate(error.hint),
        "errors": error.errors,
        "request_id": error.request_id,
    }
    if isinstance(error, DatasetRejected) and error.dataset is not None:
        told["dataset"] = error.dataset.id
    with suppress(click.exceptions.Exit):  # nobody reads it: the status still tells
        terminal.line({"error": told})  # one line: `predict` may have printed some before


def _message(error: TuneryError, terminal: Terminal) -> str:
    match error:
        case ConnectionFailed() | TimedOut():
            url = terminal.client.url
            return terminal.translate("{url} does not answer: {why}", url=url, why=error.args[0])
        case ApiError():
            said = str(error)
            places = [
                f"\n  {each.pointer}" + ("" if each.message in said else f": {each.message}")
                for each in error.errors
                if isinstance(each, FieldError) and f"{each.pointer}: {each.message}" not in said
            ]
            return f"{error.args[0]}{''.join(places)}"
        case _:
            return str(error)


def _advice(error: TuneryError, terminal: Terminal) -> str:
    parts: list[str] = []
    if isinstance(error, ConnectionFailed):
        parts.append(terminal.translate("Is it running? Start it with: tunery serve"))
    if isinstance(error, NotConfigured):
        parts.append(terminal.translate("`tunery serve` makes one here, in its data directory."))
    if isinstance(error, ApiError) and error.hint:
        parts.append(terminal.translate(_HINTS.get(error.code or "", error.hint)))
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
