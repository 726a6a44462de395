"""The command line: `tunery COMMAND`, in English or Chinese by the locale.

Exit status: 0 done; 1 refused; 2 wrong usage; 3 the data was rejected; 4 a job or a deployment
failed; 5 the service can't be reached; 130 interrupted. Knows neither server nor trainer: `serve`,
`datasets check` and `doctor` run them as programs.
"""

import os
import sys
from collections.abc import Sequence

from tunery.cli.commands import root
from tunery.cli.failures import exit_code_of
from tunery.cli.terminal import Terminal
from tunery.cli.wording import translated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; `serve` never returns."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: `>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    terminal = Terminal()
    command = translated(root, terminal.translate)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = command.main(given, prog_name="tunery", obj=terminal, standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        terminal.json = terminal.json or "--json" in given  # a wrong option may come before it
        return exit_code_of(error, terminal)
    finally:
        terminal.close()
    return code if isinstance(code, int) else 0
