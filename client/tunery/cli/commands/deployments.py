"""`tunery deploy`, `rollback`, `undeploy`, `deployments`, `devices`: what serves, and where."""

from typing import get_args

import click

from tunery.cli.names import dataset_id
from tunery.cli.options import Command, completing, deployment_names, gate_of, gate_options
from tunery.cli.tables import Fact, ago, facts, size, status, table
from tunery.cli.terminal import Terminal
from tunery.types import Deployment, Device, ServingPrecision, Strategy

_named = click.argument("name", shell_complete=completing(deployment_names))
_no_wait = click.option("--no-wait", is_flag=True, help="Return while it is loading.")


@click.command(cls=Command)
@_named
@click.argument("version")
@click.option("--replicas", type=click.IntRange(1, 64), help="Engine processes.")
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    default="swap",
    help="recreate: unload the old one first, where memory does not hold both.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(ServingPrecision)),
    default="fp32",
    help="bf16 and int8 are faster where the device has them, and move probabilities.",
)
@click.option("--pinned", is_flag=True, help="Never unload it to make room for others.")
@click.option(
    "--allow-label-change", is_flag=True, help="Let it have other labels than what serves now."
)
@gate_options
@click.option("--gate-dataset", help="Its rows count; else those that it was trained on.")
@_no_wait
@click.pass_obj
def deploy(
    terminal: Terminal,
    name: str,
    version: str,
    replicas: int | None,
    strategy: Strategy,
    precision: ServingPrecision,
    pinned: bool,
    allow_label_change: bool,
    gated: bool,
    minima: tuple[str, ...],
    max_latency: float | None,
    gate_dataset: str | None,
    no_wait: bool,
) -> None:
    """Let NAME serve a version. VERSION is one such as intent/3, or a checkpoint's id.

    What serves until then goes on until the new one is ready; no request is dropped.
    """
    on = None if gate_dataset is None else dataset_id(gate_dataset, terminal)
    checkpoint = version if version.startswith("ckpt_") else None
    found = terminal.client.deployments.deploy(
        name,
        None if checkpoint else version,
        checkpoint=checkpoint,
        replicas=replicas,
        strategy=strategy,
        precision=precision,
        pinned=pinned,
        allow_label_change=allow_label_change,
        gate=gate_of(gated or on is not None, minima, max_latency, on),
        wait=not no_wait,
    )
    _print(terminal, found)


@click.command(cls=Command)
@_named
@_no_wait
@click.pass_obj
def rollback(terminal: Terminal, name: str, no_wait: bool) -> None:
    """Let NAME serve again what was ready there before. Twice in a row goes forward again."""
    _print(terminal, terminal.client.deployments.rollback(name, wait=not no_wait))


@click.command(cls=Command)
@_named
@click.pass_obj
def undeploy(terminal: Terminal, name: str) -> None:
    """Stop serving under NAME; its history stays."""
    found = terminal.client.deployments
    _print(terminal, found.wait(found.delete(name)))


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=completing(deployment_names))
@click.pass_obj
def deployments(terminal: Terminal, name: str | None) -> None:
    """List what serves. With NAME, show that one and its history."""
    if name is not None:
        _print(terminal, terminal.client.deployments.get(name))
        return
    found = list(terminal.client.deployments.list())
    if terminal.json:
        terminal.data(found)
        return
    rows = [
        (
            each.name,
            status(each.status, terminal.translate),
            _served(each),
            each.actual.runtime if each.actual else "",
            f"{each.actual.replicas}" if each.actual else "",
            _memory(each) or "",
            ago(each.updated_at, terminal.translate),
        )
        for each in found
    ]
    heads = ["deployment", "status", "serves", "runtime", ">replicas", ">memory", "changed"]
    terminal.show(table(heads, rows, terminal.translate))


@click.command(cls=Command)
@click.pass_obj
def devices(terminal: Terminal) -> None:
    """List what serves where, and how much memory it holds."""
    found = terminal.client.deployments.devices()
    if terminal.json:
        terminal.data(found)
        return
    rows = [row for each in found for row in _rows_of(each, terminal)]
    terminal.show(
        table(["device", "deployment", "serves", ">memory", ""], rows, terminal.translate)
    )


def _rows_of(device: Device, terminal: Terminal) -> list[tuple[str, ...]]:
    """Return a line for the device, and one for each deployment on it."""
    translate = terminal.translate
    budget = translate("of {size}", size=size(device.budget_bytes)) if device.budget_bytes else ""
    occupants = [
        (
            "",
            each.name,
            each.version,
            size(each.memory_bytes),
            translate("pinned") if each.pinned else "",
        )
        for each in device.occupants
    ]
    return [(device.device, "", "", size(device.used_bytes), budget), *occupants]


def _print(terminal: Terminal, deployment: Deployment) -> None:
    if terminal.json:
        terminal.data(deployment)
        return
    translate = terminal.translate
    wanted = deployment.desired.version or deployment.desired.checkpoint
    served = _served(deployment)
    error = deployment.error
    rows: list[Fact] = [
        ("deployment", deployment.name),
        ("status", status(deployment.status, translate)),
        ("serves", served),
        ("wanted", wanted if wanted != served else None),
        ("runtime", deployment.actual.runtime if deployment.actual else None),
        ("replicas", f"{deployment.actual.replicas}" if deployment.actual else None),
        ("memory", _memory(deployment)),
        ("load", f"{deployment.load_ms:,.0f} ms" if deployment.load_ms is not None else None),
        ("error", f"{error.code}: {error.message} {error.hint}" if error else None),
    ]
    terminal.show(facts(rows, translate))
    if deployment.history:
        history = [(each.version, each.outcome, each.at[:19]) for each in deployment.history]
        terminal.show(table(["version", "outcome", "at"], history, translate))


def _memory(deployment: Deployment) -> str | None:
    held = deployment.actual.memory_bytes if deployment.actual else 0
    return size(held) if held else None


def _served(deployment: Deployment) -> str:
    return deployment.actual.version if deployment.actual else ""
