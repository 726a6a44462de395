"""Programs: the server and the trainer, which the command line runs and never imports."""

import importlib.util
import os
import sys

from tunery.cli.failures import USAGE, CommandFailed


def require(modules: tuple[str, ...], missing: str) -> None:
    """Refuse a command whose program is not installed: the wheel has it, an extra what it imports.

    Raises:
        CommandFailed: with the message `missing`, which names the line of pip.
    """
    if not all(importlib.util.find_spec(module) for module in modules):
        raise CommandFailed(missing, USAGE)


def trainer_command(*arguments: str) -> list[str]:
    """Return the command that runs the trainer, whatever modules the working directory has."""
    return [sys.executable, "-P", "-m", "tunery_trainer", *arguments]


def child_environment() -> dict[str, str]:
    """Return the environment in which a program of the trainer ends when this one does."""
    return {**os.environ, "TUNERY_PARENT_PID": str(os.getpid())}
