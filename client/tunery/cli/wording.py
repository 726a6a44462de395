"""Wording: the help of the commands in the language of the terminal.

click knows its own texts in English only; this is where they and ours are turned.
"""

import copy
from typing import Any

import click

from tunery._language import Translate

_SHORT_CHARACTERS = 100


def translated(command: click.Command, translate: Translate) -> click.Command:
    """Return a copy of a command, with all below it, whose help is in another language."""
    turned = copy.copy(command)
    turned.help = _turned(command.help, translate)
    # Cut here: click cuts at a full stop, and has never seen a Chinese one.
    turned.short_help = translate(command.get_short_help_str(_SHORT_CHARACTERS))
    turned.params = [_parameter(parameter, translate) for parameter in command.params]
    turned.context_class = _context_class(translate)
    if isinstance(turned, click.Group):
        assert isinstance(command, click.Group)
        turned.commands = {
            name: translated(each, translate) for name, each in command.commands.items()
        }
    return turned


def usage_problem(error: click.UsageError, translate: Translate) -> str:
    """Return what is wrong with a command line."""
    match error:
        case click.NoSuchOption():
            text = translate("there is no option {name}", name=error.option_name)
            near = ", ".join(error.possibilities or ())
            return text + (translate("; did you mean {name}?", name=near) if near else "")
        case click.MissingParameter(param=click.Parameter() as parameter):
            return translate("{name} is missing", name=_name_of(parameter))
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name_of(parameter)}: {error.message}"
        case _:
            return error.format_message()


def _name_of(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.human_readable_name


def _turned(text: str | None, translate: Translate) -> str | None:
    return None if text is None else translate(" ".join(text.split()))


def _parameter(parameter: click.Parameter, translate: Translate) -> click.Parameter:
    turned = copy.copy(parameter)
    if isinstance(turned, click.Option):
        turned.help = _turned(turned.help, translate)
    return turned


def _context_class(translate: Translate) -> type[click.Context]:
    class Formatter(click.HelpFormatter):
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or translate("Usage: "))

        def write_heading(self, heading: str) -> None:
            super().write_heading(translate(heading))

        def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
            turned = [(name, translate(text) if text else text) for name, text in rows]
            super().write_dl(turned, col_max, col_spacing)

    class Context(click.Context):
        formatter_class = Formatter

    return Context
