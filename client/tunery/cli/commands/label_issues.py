"""`tunery datasets label-issues` and `relabel`: find labels that are likely wrong, give others.

Between the two a spreadsheet may stand: what the one prints with --csv, the other reads.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import IO, Any, get_args

import click
from rich.text import Text

from tunery.cli.commands.datasets import finish
from tunery.cli.failures import CommandFailed
from tunery.cli.names import dataset_id
from tunery.cli.options import Command, dataset_argument
from tunery.cli.tables import table
from tunery.cli.terminal import Terminal
from tunery.cli.watch import watch_job
from tunery.errors import LabelIssuesNotFound
from tunery.types import LabelIssue, RowLabel, Split

COLUMNS = ("split", "line", "label", "suggested_label", "quality", "margin", "text", "text_pair")
_SHOWN = 100  # characters of a text
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@click.command("label-issues", cls=Command)
@dataset_argument
@click.option("--anew", is_flag=True, help="Look again, whatever was found before.")
@click.option("--base-model", metavar="ID", help="Look again with this one; else minilm-l6.")
@click.option("--split", type=click.Choice(get_args(Split)), help="Only of these rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all as CSV on stdout.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows at most."
)
@click.pass_obj
def label_issues(
    terminal: Terminal,
    dataset: str,
    anew: bool,
    base_model: str | None,
    split: Any,
    as_csv: bool,
    limit: int,
) -> None:
    """List rows of DATASET whose label is likely wrong, the worst first.

    Where nobody has looked for them yet, a job does so first.
    """
    namespace, of = terminal.client.datasets, dataset_id(dataset, terminal)
    found = namespace.label_issues(of, split=split)
    if not (anew or base_model):
        try:
            _show(terminal, found, as_csv, limit)
        except LabelIssuesNotFound:
            anew = True
        else:
            return
    watch_job(terminal, namespace.find_label_issues(of, base_model=base_model or "minilm-l6"))
    _show(terminal, found, as_csv, limit)


@click.command(cls=Command)
@dataset_argument
@click.argument("file", type=click.File(encoding="utf-8-sig"), required=False)
@click.option("--max-quality", type=click.FloatRange(0, 1), metavar="Q",
              help="Take the suggestion for each label issue of at most this quality.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Return while the file is validated.")
@click.pass_obj
def relabel(
    terminal: Terminal,
    dataset: str,
    file: IO[str] | None,
    max_quality: float | None,
    no_wait: bool,
) -> int:
    """Make the next version of DATASET, in which rows have other labels.

    FILE is what `label-issues --csv` prints, without the rows that are right as they are: each row
    gets its suggested_label.
    """
    if (file is None) == (max_quality is None):
        raise click.UsageError(terminal.translate("give FILE or --max-quality"))
    namespace, of = terminal.client.datasets, dataset_id(dataset, terminal)
    rows: list[LabelIssue | RowLabel] = []
    if file is not None:
        rows += _read(file, terminal)
    else:
        rows += (each for each in namespace.label_issues(of) if each.quality <= (max_quality or 0))
    if not rows:
        raise CommandFailed(terminal.translate("there are no rows to relabel"))
    return finish(terminal, namespace.relabel(of, rows, wait=False), no_wait)


def _show(terminal: Terminal, found: Iterable[LabelIssue], as_csv: bool, limit: int) -> None:
    if as_csv:
        terminal.text([_written(found)])
        return
    rows = list(islice(found, limit))
    if terminal.json:
        terminal.data(rows)
        return
    heads = ["line", "text", "label", "suggested label", ">quality"]
    terminal.show(table(heads, map(_cells, rows), terminal.translate))


def _cells(issue: LabelIssue) -> Sequence[str | Text]:
    text = " ".join(f"{issue.text} {issue.text_pair or ''}".split())
    return (
        f"{issue.split}:{issue.line}",
        text if len(text) <= _SHOWN else text[:_SHOWN] + "…",
        issue.label,
        issue.suggested_label,
        f"{issue.quality:.3f}",
    )


def _written(issues: Iterable[LabelIssue]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_inert(getattr(issue, name)) for name in COLUMNS] for issue in issues)
    return text.getvalue().removesuffix("\n")


def _read(file: IO[str], terminal: Terminal) -> list[RowLabel]:
    """Return the labels of a file; a row without one stays as it is."""
    found: list[RowLabel] = []
    try:
        for row in csv.DictReader(file):
            if row["suggested_label"]:
                split, label = row.get("split") or None, _told(row["suggested_label"])
                found.append(RowLabel(split=split, line=int(row["line"]), label=label))  # type: ignore[arg-type]  # the service judges it
    except (KeyError, ValueError, csv.Error) as error:
        message = "the file must have columns line and suggested_label: {why}"
        raise CommandFailed(terminal.translate(message, why=error)) from error
    return found


def _inert(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula. Source: OWASP, CSV injection."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell


def _told(cell: str) -> str:
    """Return a cell as it was before it was made inert."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_SIGNS) else cell
