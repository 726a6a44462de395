"""`tunery jobs`: see them, watch one, steer one."""

from itertools import islice
from typing import Any, cast, get_args

import click

from tunery._progress import duration, progress_text, title_of
from tunery.cli.options import Group, job_argument
from tunery.cli.tables import Fact, ago, facts, resolved_text, status, table
from tunery.cli.terminal import Terminal
from tunery.cli.watch import watch_job
from tunery.types import Job, JobKind, JobStatus

_KINDS = get_args(JobKind)
_STATUSES = get_args(JobStatus)


@click.group(cls=Group)
def jobs() -> None:
    """See what runs, watch it, stop it."""


@jobs.command("list")
@click.option("--status", type=click.Choice(_STATUSES), help="Only so.")
@click.option("--kind", type=click.Choice(_KINDS), help="Only of this kind.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@click.pass_obj
def list_all(terminal: Terminal, /, limit: int, **filters: str | None) -> None:
    """List jobs, newest first."""
    found = list(islice(terminal.client.jobs.list(**filters), limit))  # type: ignore[arg-type]  # click has checked the words
    if terminal.json:
        terminal.data(found)
        return
    rows = [
        (
            each.id,
            title_of(each),
            status(each.status, terminal.translate),
            detail(each, terminal),
            ago(each.created_at, terminal.translate),
        )
        for each in found
    ]
    terminal.show(table(["id", "job", "status", "progress", "made"], rows, terminal.translate))


@jobs.command()
@job_argument
@click.pass_obj
def show(terminal: Terminal, job: str) -> None:
    """Show a job: where it is, what it was told, what became of it."""
    found = terminal.client.jobs.get(job)
    print_job(terminal, found)


@jobs.command()
@job_argument
@click.pass_obj
def watch(terminal: Terminal, job: str) -> None:
    """Follow a job to its end. Ctrl-C leaves it running."""
    ended = watch_job(terminal, terminal.client.jobs.get(job))
    if terminal.json:
        terminal.data(ended)


@jobs.command()
@job_argument
@click.option("--tail", type=click.IntRange(1, 10_000), default=200, show_default=True,
              help="Lines from the end.")  # fmt: skip
@click.pass_obj
def logs(terminal: Terminal, job: str, tail: int) -> None:
    """Print the end of a job's log."""
    found = terminal.client.jobs.logs(job, tail=tail)
    if terminal.json:
        terminal.data(found)
    else:
        terminal.text(found.lines)
        if not found.lines:
            terminal.say("the log is empty")


@jobs.command()
@job_argument
@click.option("--names", metavar="A,B", help="Only these metrics.")
@click.option("--downsample", type=click.IntRange(2, 100_000), metavar="N",
              help="Points of a metric at most; spikes are kept.")  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@click.pass_obj
def metrics(
    terminal: Terminal, job: str, names: str | None, downsample: int | None, as_csv: bool
) -> None:
    """Print the metrics of a job, by step."""
    asked = None if names is None else names.split(",")
    if as_csv:
        text = terminal.client.jobs.metrics_csv(job, names=asked, downsample=downsample)
        terminal.text(text.splitlines())
        return
    points = terminal.client.jobs.metrics(job, names=asked, downsample=downsample)
    if terminal.json:
        terminal.data(points)
        return
    shown = asked or list(dict.fromkeys(name for point in points for name in point.values))
    rows = [
        (str(point.step), *(_figure(point.values.get(name)) for name in shown)) for point in points
    ]
    terminal.show(table([">step", *(f">{name}" for name in shown)], rows, terminal.translate))


@jobs.command()
@job_argument
@click.pass_obj
def cancel(terminal: Terminal, job: str) -> None:
    """Cancel a job; one that has ended stays as it is."""
    print_job(terminal, terminal.client.jobs.cancel(job))


@jobs.command()
@job_argument
@click.pass_obj
def pause(terminal: Terminal, job: str) -> None:
    """Pause a fine-tune at its next step; it gives its device back."""
    print_job(terminal, terminal.client.jobs.pause(job))


@jobs.command()
@job_argument
@click.pass_obj
def resume(terminal: Terminal, job: str) -> None:
    """Queue a paused fine-tune again; it goes on from its last checkpoint."""
    print_job(terminal, terminal.client.jobs.resume(job))


def print_job(terminal: Terminal, job: Job) -> None:
    """Print one job."""
    if terminal.json:
        terminal.data(job)
        return
    result = job.result
    rows: list[Fact] = [
        ("id", job.id),
        ("job", title_of(job)),
        ("status", status(job.status, terminal.translate)),
        ("progress", detail(job, terminal)),
        ("attempt", str(job.attempt)),
        ("hyperparameters", resolved_text(job.resolved)),
        ("version", result.version if result else None),
        ("evaluation", result.evaluation if result else None),
        ("dataset", (result.dataset if result else None) or job.spec.get("dataset")),
        ("error", f"{job.error.code}: {job.error.message} {job.error.hint}" if job.error else None),
        ("made", job.created_at),
        ("started", job.started_at),
        ("finished", job.finished_at),
    ]
    terminal.show(facts(rows, terminal.translate))


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        return str(cast("dict[str, Any]", value)["non_finite"])
    return "" if value is None else f"{value:.4g}"


def detail(job: Job, terminal: Terminal) -> str:
    """Return how far a job is, or why it ended."""
    if job.error is not None:
        return job.error.code
    state = job.progress
    if job.terminal:
        return job.stop_reason or ""
    if job.status != "running" or state is None or not state.total_steps:
        return progress_text(job, [], terminal.translate)
    text = f"{state.step / state.total_steps:.0%}"
    if state.eta_seconds is None:
        return text
    left = duration(state.eta_seconds, terminal.translate)
    return f"{text}, {terminal.translate('{time} left', time=left)}"


def print_started(terminal: Terminal, job: Job) -> None:
    """Print a job that goes on by itself."""
    if terminal.json:
        terminal.data(job)
    else:
        terminal.text([job.id])
        terminal.say("Watch it: tunery jobs watch {id}", id=job.id)
