"""`tunery models`: what fine-tunes have left behind."""

import click

from tunery import Client
from tunery.cli.options import Command, completing
from tunery.cli.tables import ago, facts, table
from tunery.cli.terminal import Terminal
from tunery.types import ModelVersion


def _names(client: Client) -> list[str]:
    return [model.name for model in next(client.models.list().pages()).data]


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=completing(_names))
@click.pass_obj
def models(terminal: Terminal, name: str | None) -> None:
    """List models. With NAME, a model or a version such as intent/3, show that one."""
    if name is not None:
        found = (
            terminal.client.models.version(name)
            if "/" in name
            else terminal.client.models.get(name).latest
        )
        _print(terminal, found)
        return
    listed = list(terminal.client.models.list())
    if terminal.json:
        terminal.data(listed)
        return
    rows = [
        (
            each.name,
            f"{each.versions}",
            each.latest.version,
            each.latest.base_model,
            f"{len(each.latest.labels)}",
            ago(each.latest.created_at, terminal.translate),
        )
        for each in listed
    ]
    heads = ["model", ">versions", "newest", "base model", ">labels", "made"]
    terminal.show(table(heads, rows, terminal.translate))


def _print(terminal: Terminal, version: ModelVersion) -> None:
    if terminal.json:
        terminal.data(version)
        return
    parity = version.parity
    rows = [
        ("version", version.version),
        ("base model", version.base_model),
        ("labels", ", ".join(version.labels)),
        ("dataset", version.dataset),
        ("fingerprint", version.dataset_fingerprint),
        ("job", version.job),
        ("checkpoint", version.checkpoint),
        ("size", f"{version.bytes / 1e6:,.0f} MB"),
        (
            "parity",
            terminal.translate(
                "{changed} of {rows} rows get another label than in training;"
                " probabilities differ by {difference} at most",
                changed=parity.labels_changed,
                rows=parity.rows,
                difference=f"{parity.largest_difference:.1e}",
            )
            if parity
            else None,
        ),
        ("seal", version.seal),
        ("made", version.created_at),
    ]
    terminal.show(facts(rows, terminal.translate))
