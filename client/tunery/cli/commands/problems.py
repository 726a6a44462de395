"""`tunery problems`: what a code means; needs no service."""

from difflib import get_close_matches

import click
from rich.console import Group as Stack
from rich.markdown import Markdown
from rich.text import Text

from tunery.cli.options import Command
from tunery.cli.tables import table
from tunery.cli.terminal import Terminal
from tunery.explanations import problem_page
from tunery.types import PROBLEMS


@click.command(cls=Command)
@click.argument("code", required=False)
@click.pass_obj
def problems(terminal: Terminal, code: str | None) -> None:
    """Explain a problem CODE. Without one, list them all."""
    if code is None:
        _list(terminal)
        return
    if code not in PROBLEMS:
        near = get_close_matches(code, PROBLEMS, n=3)
        hint = terminal.translate("; did you mean {name}?", name=", ".join(near)) if near else ""
        raise click.UsageError(terminal.translate("there is no problem {code}", code=code) + hint)
    page = problem_page(code, terminal.language)
    if terminal.json:
        terminal.data(page)
        return
    status = f"  HTTP {page.status}" if page.status else ""
    head = Text.assemble((page.title, "bold"), (f"\n{page.code}{status}", "dim"))
    terminal.show(Stack(head, Text(), Text(page.hint), Text(), Markdown(page.explanation)))


def _list(terminal: Terminal) -> None:
    pages = [problem_page(code, terminal.language) for code in PROBLEMS]
    if terminal.json:
        terminal.data(pages)
        return
    rows = [(page.code, str(page.status or ""), page.title) for page in pages]
    terminal.show(table(["code", ">HTTP", ""], rows, terminal.translate))
