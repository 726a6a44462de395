"""`tunery compare`: one version beside another one on the same rows."""

from typing import Any

import click

from tunery.cli.names import dataset_id
from tunery.cli.options import Command
from tunery.cli.tables import facts, size, table
from tunery.cli.terminal import Terminal
from tunery.types import Change, ChangedRow, Compared, Comparison

_LABELS = 10  # at most
_ROWS = 10
_SHOWN = 120  # characters of a text


@click.command(cls=Command)
@click.argument("a")
@click.argument("b")
@click.option("--dataset", help="Its id or name; else that which A was trained on.")
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test",
              show_default=True, help="Which rows.")  # fmt: skip
@click.pass_obj
def compare(terminal: Terminal, a: str, b: str, dataset: str | None, split: Any) -> None:
    """Compare version A with version B, by their newest evaluations on the same rows."""
    on = None if dataset is None else dataset_id(dataset, terminal)
    found = terminal.client.compare(a, b, dataset=on, split=split)
    if terminal.json:
        terminal.data(found)
    else:
        _print(terminal, found)


def _print(terminal: Terminal, found: Comparison) -> None:
    translate = terminal.translate
    metrics = [_metric(name, change) for name, change in found.metrics.items()]
    heads = ["metric", f">{found.a.version}", f">{found.b.version}", ">difference", "95 %"]
    terminal.show(table(heads, metrics, translate))
    worse = [test.metric for test in found.tests if test.worse]
    changed = found.changed
    terminal.show(
        facts(
            [
                ("rows", f"{found.rows:,} ({found.split})"),
                ("fixed", None if changed is None else f"{changed.fixed:,}"),
                ("broken", None if changed is None else f"{changed.broken:,}"),
                ("p", None if changed is None else f"{changed.p_value:.3g}"),
                ("worse in", ", ".join([*worse, *(x.label for x in found.labels if x.worse)])),
                ("latency", _both(_latency(found.a), _latency(found.b))),
                ("size", _both(size(found.a.bytes), size(found.b.bytes))),
            ],
            translate,
        )
    )
    if found.labels:
        labels = [
            (each.label, _f1(each.a), _f1(each.b), f"{each.fixed:,}", f"{each.broken:,}",
             f"{each.corrected:.3g}")
            for each in found.labels[:_LABELS]
        ]  # fmt: skip
        heads = ["label", f">{found.a.version}", f">{found.b.version}", ">fixed", ">broken", ">p"]
        terminal.show(table(heads, labels, translate))
    if found.broken:
        heads = ["line", "broken", "label", found.a.version, found.b.version]
        terminal.show(table(heads, map(_row, found.broken[:_ROWS]), translate))


def _metric(name: str, change: Change) -> tuple[str, ...]:
    interval = f"{change.low:+.4f} … {change.high:+.4f}"
    return name, f"{change.a:.4f}", f"{change.b:.4f}", f"{change.difference:+.4f}", interval


def _latency(side: Compared) -> str | None:
    return None if side.latency is None else f"{side.latency.single.p95_ms:.2f} ms"


def _both(one: str | None, other: str | None) -> str | None:
    return None if one is None and other is None else f"{one or '–'} | {other or '–'}"


def _f1(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _row(row: ChangedRow) -> tuple[str, ...]:
    text = " ".join(f"{row.text} {row.text_pair or ''}".split())
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"{row.line}", shown, row.label, row.a, row.b
