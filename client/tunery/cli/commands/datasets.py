"""`tunery datasets`: register, check without a server, look into."""

import shlex
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Group as Stack
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from tunery._uploads import OnProgress
from tunery.cli.check import check_files
from tunery.cli.failures import REJECTED
from tunery.cli.names import dataset_id
from tunery.cli.options import Group, dataset_argument, file_options, policy_options
from tunery.cli.report import columns_told, report_page
from tunery.cli.tables import Fact, ago, facts, status, table
from tunery.cli.terminal import Terminal
from tunery.errors import DatasetRejected
from tunery.types import Columns, Dataset, Policies, RowChanges, Transform, TransformOp

OPS = [op for op in get_args(TransformOp) if op != "relabel"]  # which says more than its name
SHOWN_ROWS = 3


@click.group(cls=Group)
def datasets() -> None:
    """Register datasets, check files, see what was found in them."""


@datasets.command()
@file_options
@click.option("--name", help="Name of the dataset; else the file's. The same again is a version.")
@click.option("--no-wait", is_flag=True, help="Return while the file is validated.")
@click.pass_obj
def add(terminal: Terminal, /, name: str | None, no_wait: bool, **given: Any) -> int:
    """Upload FILE and register it; prints what was found in it."""
    sources = sources_of(given, terminal)
    policies, columns = policies_of(given), columns_of(given)
    with _upload_bar(terminal) as on_progress:
        created = terminal.client.datasets.create(
            sources.get("file"),
            train=sources.get("train"),
            validation=sources.get("validation"),
            test=sources.get("test"),
            name=name,
            task=given["task"],
            columns=columns,
            policies=policies,
            wait=False,
            on_progress=on_progress,
        )
    return finish(terminal, created, no_wait)


@datasets.command()
@dataset_argument
@click.option("--op", "ops", multiple=True, type=click.Choice(OPS), help="What is done; repeats.")
@click.option("--relabel", multiple=True, metavar="OLD=NEW", help="Rename or join labels; repeats.")
@policy_options
@click.option("--no-wait", is_flag=True, help="Return while the file is validated.")
@click.pass_obj
def transform(
    terminal: Terminal,
    /,
    dataset: str,
    ops: tuple[TransformOp, ...],
    relabel: tuple[str, ...],
    no_wait: bool,
    **given: Any,
) -> int:
    """Make the next version from the rows of DATASET, which stays as it is.

    The policies of DATASET hold; once one is given here, the others are the defaults.
    """
    transforms = [Transform(op=op) for op in ops]
    if relabel:
        transforms.insert(0, Transform(op="relabel", labels=_renamed(relabel, terminal)))
    if not transforms:
        raise click.UsageError(terminal.translate("give --op or --relabel"))
    policies = policies_of(given) if any(given.values()) else None
    created = terminal.client.datasets.transform(
        dataset_id(dataset, terminal), transforms, policies=policies, wait=False
    )
    return finish(terminal, created, no_wait)


@datasets.command()
@file_options
@click.pass_obj
def check(terminal: Terminal, /, **given: Any) -> int:
    """Check FILE on this machine, without a service; needs the trainer installed."""
    sources = sources_of(given, terminal)
    checked = check_files(sources, given["task"], columns_of(given), policies_of(given), terminal)
    if terminal.json:
        terminal.data(checked.report)
    else:
        title = ", ".join(path.name for path in sources.values())
        terminal.show(report_page(checked.report, title, terminal.translate))
    if checked.rejected is None:
        terminal.say("Register it: tunery datasets add {files}", files=_arguments_of(given))
    return REJECTED if checked.rejected is not None else 0


@datasets.command("list")
@click.option("--status", type=click.Choice(["validating", "ready", "rejected"]), help="Only so.")
@click.option("--name", help="Only versions of this one.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@click.pass_obj
def list_all(terminal: Terminal, /, limit: int, **filters: str | None) -> None:
    """List datasets, newest first."""
    found = list(islice(terminal.client.datasets.list(**filters), limit))
    if terminal.json:
        terminal.data(found)
        return
    transformed = any(each.transforms for each in found)
    rows: list[Sequence[str | Text]] = [
        (
            each.id,
            f"{each.name}/{each.version}",
            status(each.status, terminal.translate),
            f"{sum((each.splits or {}).values()):,}" if each.splits else "",
            f"{len(each.labels)}" if each.labels else "",
            ago(each.created_at, terminal.translate),
            *([", ".join(step.op for step in each.transforms)] if transformed else []),
        )
        for each in found
    ]
    heads = ["id", "name", "status", ">rows", ">labels", "made"]
    heads += ["transforms"] if transformed else []
    terminal.show(table(heads, rows, terminal.translate))


@datasets.command()
@dataset_argument
@click.pass_obj
def show(terminal: Terminal, dataset: str) -> None:
    """Show DATASET, an id or a name."""
    _print(terminal, terminal.client.datasets.get(dataset_id(dataset, terminal)))


@datasets.command()
@dataset_argument
@click.option("--all", "every", is_flag=True, help="Every finding and dropped row, a line each.")
@click.pass_obj
def report(terminal: Terminal, dataset: str, every: bool) -> None:
    """Show everything that was found in DATASET."""
    named = terminal.client.datasets.get(dataset_id(dataset, terminal))
    if every:
        for finding in terminal.client.datasets.findings(named):
            terminal.line(finding)
        return
    found = terminal.client.datasets.report(named)
    if terminal.json:
        terminal.data(found)
    else:
        terminal.show(report_page(found, _title(named), terminal.translate))


@datasets.command()
@dataset_argument
@click.pass_obj
def delete(terminal: Terminal, dataset: str) -> None:
    """Delete DATASET, one version; models that were trained on it stay."""
    found = terminal.client.datasets.get(dataset_id(dataset, terminal))
    terminal.client.datasets.delete(found)
    if terminal.json:
        terminal.data({"id": found.id, "deleted": True})
    else:
        terminal.say("{id} is deleted", id=_title(found))


@datasets.command()
@dataset_argument
@click.argument("since")
@click.pass_obj
def diff(terminal: Terminal, dataset: str, since: str) -> None:
    """Show what changed in DATASET against the one named SINCE."""
    later, earlier = dataset_id(dataset, terminal), dataset_id(since, terminal)
    changed = terminal.client.datasets.diff(later, since=earlier)
    if terminal.json:
        terminal.data(changed)
        return
    translate = terminal.translate
    kinds = {
        "added": changed.added,
        "removed": changed.removed,
        "relabelled": changed.relabelled,
        "moved": changed.moved,
    }
    counts = [(name, f"{changes.rows:,}") for name, changes in kinds.items()]
    parts: list[Any] = [facts([*counts, ("unchanged", f"{changed.unchanged:,}")], translate)]
    for name, changes in kinds.items():
        if changes.examples:
            parts.append(table([name, "before", "after"], _changes(changes), translate))
        if left := changes.rows - len(changes.examples):
            parts.append(Text(translate("and {count} more", count=f"{left:,}"), style="dim"))
    if changed.labels:
        shifts = [(each.label, f"{each.before:,}", f"{each.after:,}") for each in changed.labels]
        parts.append(table(["label", ">before", ">after"], shifts, translate))
    terminal.show(Stack(*parts))


def sources_of(given: Mapping[str, Any], terminal: Terminal) -> dict[str, Path]:
    """Return the files of a command line by split; the one that is split itself as `file`."""
    names = ("file", "train", "validation", "test")
    sources = {name: given[name] for name in names if given[name] is not None}
    if set(sources) in ({"file"}, {"train", "test"}, {"train", "validation", "test"}):
        return sources
    raise click.UsageError(terminal.translate("give FILE, or --train and --test"))


def columns_of(given: Mapping[str, Any]) -> Columns | None:
    """Return the columns of a command line, or None where they are to be guessed."""
    text, pair, label = given["text_column"], given["pair_column"], given["label_column"]
    separator = given["label_separator"]
    if text is None and label is None and pair is None and separator is None:
        return None
    if text is None or label is None:
        raise click.UsageError("--text and --label go together")
    return Columns(text=text, label=label, text_pair=pair, label_separator=separator)


def _arguments_of(given: Mapping[str, Any]) -> str:
    flags = {"text_column": "--text", "pair_column": "--text-pair", "label_column": "--label"}
    options = [
        [flags.get(name, "--" + name.replace("_", "-")), str(value)]
        if name != "file"
        else [str(value)]
        for name, value in given.items()
        if value is not None
    ]
    return shlex.join(chain.from_iterable(options))


def policies_of(given: Mapping[str, Any]) -> Policies:
    """Return the policies of a command line."""
    names = Policies.__struct_fields__
    return Policies(**{name: given[name] for name in names if given[name] is not None})


def finish(terminal: Terminal, created: Dataset, no_wait: bool) -> int:
    """Wait until a dataset is ready or rejected, and show its report."""
    if no_wait:
        _print(terminal, created)
        return 0
    terminal.say("{id} is being validated", id=created.id)
    try:
        ready = terminal.client.datasets.wait(created)
    except DatasetRejected as rejected:
        if terminal.json or rejected.report is None:
            raise
        terminal.show(report_page(rejected.report, _title(created), terminal.translate))
        return REJECTED
    if terminal.json:
        terminal.data(ready)
        return 0
    terminal.show(
        report_page(terminal.client.datasets.report(ready), _title(ready), terminal.translate)
    )
    terminal.say("Train on it: tunery finetune {name} --model MODEL", name=ready.name)
    return 0


def _renamed(pairs: Sequence[str], terminal: Terminal) -> dict[str, str]:
    labels: dict[str, str] = {}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not sign or not old or not new:
            message = terminal.translate("--relabel {pair}: write it as OLD=NEW", pair=pair)
            raise click.UsageError(message)
        labels[old] = new
    return labels


def _title(dataset: Dataset) -> str:
    return f"{dataset.name}/{dataset.version} {dataset.id}"


def _print(terminal: Terminal, dataset: Dataset) -> None:
    if terminal.json:
        terminal.data(dataset)
        return
    translate = terminal.translate
    splits = ", ".join(f"{split} {rows:,}" for split, rows in (dataset.splits or {}).items())
    columns = dataset.columns
    rows: list[Fact] = [
        ("id", dataset.id),
        ("name", f"{dataset.name}/{dataset.version}"),
        ("status", status(dataset.status, translate)),
        ("task", dataset.task),
        ("splits", splits),
        ("columns", columns_told(columns) if columns else None),
        ("labels", ", ".join(dataset.labels or [])),
        ("warnings", str(dataset.warnings) if dataset.warnings else None),
        ("error", f"{dataset.error.code}: {dataset.error.message}" if dataset.error else None),
        ("parent", dataset.parent),
        ("transforms", ", ".join(map(_said, dataset.transforms))),
        ("job", dataset.job),
        ("fingerprint", dataset.fingerprint),
        ("made", dataset.created_at),
    ]
    terminal.show(facts(rows, translate))


def _said(step: Transform) -> str:
    renamed = [f"{old} → {new}" for old, new in step.labels.items()]
    rows = [f"{row.split or ''}:{row.line} → {row.label}" for row in step.rows[:SHOWN_ROWS]]
    more = ["…"] if len(step.rows) > SHOWN_ROWS else []
    told = ", ".join(renamed + [row.removeprefix(":") for row in rows] + more)
    return f"{step.op} ({told})" if told else step.op


def _changes(changes: RowChanges) -> list[tuple[str, str, str]]:
    def side(label: str | None, split: str | None) -> str:
        return "" if label is None else f"{label} ({split})"

    return [
        (
            " ".join(f"{each.text} {each.text_pair or ''}".split()),
            side(each.label_before, each.split_before),
            side(each.label_after, each.split_after),
        )
        for each in changes.examples
    ]


@contextmanager
def _upload_bar(terminal: Terminal) -> Generator[OnProgress]:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    silent = not terminal.notes.is_terminal  # it would print an empty line
    with Progress(*columns, console=terminal.notes, transient=True, disable=silent) as bars:
        bar = bars.add_task(terminal.translate("uploading"), total=None)

        def on_progress(sent: int, total: int | None) -> None:
            bars.update(bar, completed=sent, total=total)

        yield on_progress
