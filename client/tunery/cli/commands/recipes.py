"""`tunery recipes`: the named defaults of a fine-tune, and where each comes from."""

import click
from rich.console import Group as Stack
from rich.text import Text

from tunery.cli.options import Command
from tunery.cli.tables import table
from tunery.cli.terminal import Terminal
from tunery.types import Recipe


@click.command(cls=Command)
@click.argument("name", required=False)
@click.pass_obj
def recipes(terminal: Terminal, name: str | None) -> None:
    """List named defaults. With NAME, each rule of that one and its source."""
    listed = terminal.client.models.recipes()
    if name is not None:
        found = [each for each in listed if each.name == name]
        if not found:
            known = ", ".join(each.name for each in listed)
            text = terminal.translate("there is no recipe {name}", name=name)
            raise click.UsageError(text + terminal.translate("; there are {names}", names=known))
        _print(terminal, found[0])
    elif terminal.json:
        terminal.data(listed)
    else:
        rows = [(each.name, each.description) for each in listed]
        terminal.show(table(["recipe", ""], rows, terminal.translate))


def _print(terminal: Terminal, recipe: Recipe) -> None:
    if terminal.json:
        terminal.data(recipe)
        return
    rows = [(each.hyperparameter, each.rule, each.source) for each in recipe.rules]
    rules = table(["hyperparameter", "rule", "source"], rows, terminal.translate)
    terminal.show(Stack(Text(recipe.description), Text(), rules))
