"""Evaluations: how a version does, where it is wrong, and which one does best."""

from itertools import islice
from pathlib import Path
from typing import Any, get_args

import click
from rich.text import Text

from tunery.cli.commands.jobs import print_started
from tunery.cli.names import dataset_id
from tunery.cli.options import Command
from tunery.cli.png import png_of, require_png
from tunery.cli.tables import ago, facts, table
from tunery.cli.terminal import Terminal
from tunery.cli.watch import watch_job
from tunery.types import (
    ErrorSort,
    EvaluatedRow,
    Evaluation,
    EvaluationPlot,
    Metric,
    NearestRow,
    RuntimeName,
    ServingPrecision,
    Split,
)

_WEAKEST = 5
_SHOWN = 120  # characters of a text
_HEADLINES = (  # all figures come with --json
    *(
        "accuracy",
        "coverage",
        "selective_accuracy",
        "subset_accuracy",
        "macro_f1",
        "micro_f1",
        "weighted_f1",
        "hamming_loss",
    ),
    *("mae", "rmse", "r2", "pearson", "spearman", "loss"),
)


@click.command(cls=Command)
@click.argument("version")
@click.option("--dataset", required=True, help="Its id or name.")
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test",
              show_default=True, help="Which rows.")  # fmt: skip
@click.option(
    "--runtime",
    type=click.Choice(["auto", *get_args(RuntimeName)]),
    default="auto",
    show_default=True,
    help="What computes, as it shall serve.",
)
@click.option("--precision", type=click.Choice(get_args(ServingPrecision)), default="fp32",
              show_default=True, help="Of the weights, as it shall serve.")  # fmt: skip
@click.option("--primary-metric", metavar="METRIC", help="Told first, such as recall@spam.")
@click.option("--detach", is_flag=True, help="Return at once, without watching.")
@click.pass_obj
def evaluate(
    terminal: Terminal,
    version: str,
    dataset: str,
    split: Any,
    runtime: Any,
    precision: Any,
    primary_metric: str | None,
    detach: bool,
) -> None:
    """Evaluate a version on a dataset. VERSION is one such as intent/3, or a checkpoint's id."""
    if split == "train":
        terminal.say("The model was trained on these rows; new texts will do worse.")
    checkpoint = version if version.startswith("ckpt_") else None
    job = terminal.client.evaluations.create(
        None if checkpoint else version,
        checkpoint=checkpoint,
        dataset=dataset_id(dataset, terminal),
        split=split,
        allow_train=split == "train",
        runtime=None if runtime == "auto" else runtime,
        precision=precision,
        primary_metric=primary_metric,
    )
    if detach:
        print_started(terminal, job)
        return
    watch_job(terminal, job)
    found = terminal.client.evaluations.of(job)
    if terminal.json:
        terminal.data(found)
    else:
        print_evaluation(terminal, found)


@click.command(cls=Command)
@click.argument("evaluation")
@click.option("--true", help="Only rows that have this label.")
@click.option("--predicted", help="Only rows that were given this label.")
@click.option("--right", is_flag=True, help="Also rows that were answered right.")
@click.option(
    "--sort",
    type=click.Choice(get_args(ErrorSort)),
    default="-loss",
    show_default=True,
    help="What comes first.",
)
@click.option("--nearest", is_flag=True, help="Also the training row that is most like each.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows at most."
)
@click.pass_obj
def errors(
    terminal: Terminal,
    evaluation: str,
    true: str | None,
    predicted: str | None,
    right: bool,
    sort: Any,
    nearest: bool,
    limit: int,
) -> None:
    """Print the rows that a version has answered wrong. EVALUATION is an id."""
    found = terminal.client.evaluations.errors(
        evaluation, true=true, predicted=predicted, right=right, sort=sort
    )
    rows = list(islice(found, limit))
    if terminal.json:
        terminal.data(rows)
        return
    heads = ["line", "text", "label", "predicted", ">score", ">loss"]
    heads += ["decision"] if any(row.abstained for row in rows) else []
    cells = [_cells(row)[: len(heads)] for row in rows]
    if nearest:
        heads.append("most alike in training")
        cells = [(*each, _nearest(row)) for each, row in zip(cells, rows, strict=True)]
    terminal.show(table(heads, cells, terminal.translate))


@click.command(cls=Command)
@click.argument("evaluation")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it is written, report.html or PLOT.svg if not given; a name in .md gets the model "
    "card, one in .png the plot as pixels.",
)
@click.option("--plot", type=click.Choice(get_args(EvaluationPlot)), help="This one only.")
@click.pass_obj
def report(terminal: Terminal, evaluation: str, output: Path | None, plot: Any) -> None:
    """Write the report of an evaluation, a page for people. EVALUATION is an id."""
    evaluations = terminal.client.evaluations
    path = output or Path("report.html" if plot is None else f"{plot}.svg")
    as_pixels = path.suffix == ".png"
    if as_pixels and plot is None:
        raise click.UsageError(terminal.translate("a PNG is one plot: give --plot"))
    if as_pixels:
        require_png(terminal)
    if plot is not None:
        text = evaluations.plot(evaluation, plot)
    elif path.suffix == ".md":
        text = evaluations.card(evaluation)
    else:
        text = evaluations.report(evaluation)
    path.write_bytes(png_of(text) if as_pixels else text.encode())
    terminal.say("{path} is written", path=path)


@click.command("evaluations", cls=Command)
@click.option("--dataset", help="Only of this one: its id or name.")
@click.option("--split", type=click.Choice(get_args(Split)), help="Only of these rows.")
@click.option("--model", help="Only of its versions.")
@click.option("--sort", metavar="METRIC", help="By it, the least first; -METRIC: the largest.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all as CSV on stdout.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@click.pass_obj
def leaderboard(
    terminal: Terminal,
    dataset: str | None,
    split: Any,
    model: str | None,
    sort: str | None,
    as_csv: bool,
    limit: int,
) -> None:
    """List evaluations, newest first or by a metric: --sort -accuracy."""
    on = None if dataset is None else dataset_id(dataset, terminal)
    if as_csv:
        text = terminal.client.evaluations.list_csv(dataset=on, split=split, model=model, sort=sort)
        terminal.text(text.splitlines())
        return
    listed = terminal.client.evaluations.list(dataset=on, split=split, model=model, sort=sort)
    found = list(islice(listed, limit))
    if terminal.json:
        terminal.data(found)
        return
    metric = None if sort is None else sort.removeprefix("-")
    heads = ["evaluation", "version", "rows", metric or "figure", ">uses", "made"]
    rows = [_line(terminal, each, metric) for each in found]
    terminal.show(table(heads, rows, terminal.translate))


def _line(terminal: Terminal, evaluation: Evaluation, metric: str | None) -> tuple[str, ...]:
    name = metric or evaluation.primary_metric or "accuracy"
    figure = _with_interval(evaluation.metrics.get(name, Metric(value=None)))
    return (
        evaluation.id,
        evaluation.version or evaluation.checkpoint or "",
        f"{evaluation.rows:,} ({evaluation.split})",
        figure if metric else f"{name} {figure}",
        f"{evaluation.test_set_uses}",
        ago(evaluation.created_at, terminal.translate),
    )


def print_evaluation(terminal: Terminal, evaluation: Evaluation) -> None:
    """Print figures and classes, all of a few, the weakest of many; then what to act on."""
    translate = terminal.translate
    figures = [
        (name, _with_interval(evaluation.metrics[name]))
        for name in dict.fromkeys((evaluation.primary_metric or "", *_HEADLINES))
        if name in evaluation.metrics
        and not (name == "micro_f1" and "accuracy" in evaluation.metrics)  # the same
    ]
    rows = f"{evaluation.rows:,} ({evaluation.split})"
    baselines = ", ".join(f"{name} {value:.4f}" for name, value in evaluation.baselines.items())
    lineage = evaluation.lineage
    seen = f"{lineage.overlap:,}" if lineage is not None and lineage.overlap else None
    beside = [("baselines", baselines), ("rows seen in training", seen)]
    terminal.show(facts([("rows", rows), *figures, *beside], translate))
    if evaluation.per_class:
        _show_classes(terminal, evaluation)
    if evaluation.findings:
        found = [
            (each.type, Text.assemble(each.message, "\n", (each.advice, "dim")))
            for each in evaluation.findings
        ]
        terminal.show(facts(found, translate))


def _show_classes(terminal: Terminal, evaluation: Evaluation) -> None:
    ordered = sorted(evaluation.per_class, key=lambda each: each.f1 or 0.0)
    shown = ordered if len(ordered) <= 2 * _WEAKEST else ordered[:_WEAKEST]
    head = "label" if len(shown) == len(ordered) else "weakest labels"
    cells = [
        (each.label, *(_figure(value) for value in (each.precision, each.recall, each.f1)),
         f"{each.support:,}")
        for each in shown
    ]  # fmt: skip
    heads = [head, ">precision", ">recall", ">f1", ">rows"]
    terminal.show(table(heads, cells, terminal.translate))


def _with_interval(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    interval = "" if metric.low is None else f"  {metric.low:.4f} … {metric.high:.4f}"
    return f"{metric.value:.4f}{interval}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _nearest(row: EvaluatedRow) -> str:
    if not row.nearest:
        return ""
    best = row.nearest[0]
    return f"{_one_line(best)} ({best.label})"


def _one_line(row: EvaluatedRow | NearestRow) -> str:
    text = " ".join(f"{row.text} {row.text_pair or ''}".split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _cells(row: EvaluatedRow) -> tuple[str | Text, ...]:
    return (
        f"{row.line}",
        _one_line(row),
        row.label,
        row.predicted,
        _figure(row.score),
        _figure(row.loss),
        "abstain" if row.abstained else "answer",
    )
