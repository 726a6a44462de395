"""`tunery keys`: who may ask for what."""

from typing import Any

import click

from tunery.cli.options import Group
from tunery.cli.tables import ago, table
from tunery.cli.terminal import Terminal


@click.group(cls=Group)
def keys() -> None:
    """Make, list and delete API keys."""


@keys.command("list")
@click.pass_obj
def list_all(terminal: Terminal) -> None:
    """List the keys; secrets are never shown again."""
    found = list(terminal.client.keys.list())
    if terminal.json:
        terminal.data(found)
        return
    translate = terminal.translate
    rows = [
        (
            each.id,
            each.name,
            each.scope,
            ago(each.created_at, translate),
            ago(each.last_used_at, translate),
            each.expires_at[:10] if each.expires_at else "",
        )
        for each in found
    ]
    terminal.show(table(["id", "name", "scope", "made", "last used", "expires"], rows, translate))


@keys.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(["predict", "train", "admin"]), default="predict",
              show_default=True, help="Each may do what those before it may.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="Until it expires; else never.")
@click.pass_obj
def create(terminal: Terminal, name: str, scope: Any, days: int | None) -> None:
    """Make a key called NAME; its secret is printed once, alone on stdout."""
    made = terminal.client.keys.create(name, scope=scope, expires_in_days=days)
    if terminal.json:
        terminal.data(made)
        return
    terminal.text([made.secret])
    terminal.say("Keep it: it is not shown again. Use it as TUNERY_API_KEY.")


@keys.command()
@click.argument("key")
@click.pass_obj
def delete(terminal: Terminal, key: str) -> None:
    """Delete the key with this id; it is refused within a second."""
    terminal.client.keys.delete(key)
    if terminal.json:
        terminal.data({"id": key, "deleted": True})
    else:
        terminal.say("{id} is deleted", id=key)
