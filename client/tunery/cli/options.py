"""Options that many commands have, and the root that all of them hang on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import msgspec
from click.shell_completion import CompletionItem

from tunery import Client
from tunery.cli.terminal import Terminal
from tunery.errors import TuneryError
from tunery.types import Abstain, Gate, Task

F = TypeVar("F", bound=Callable[..., Any])
COMPLETION_SECONDS = 2.0  # that a Tab may take


def _json(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given:
        _terminal(context).json = True


def _url(context: click.Context, _parameter: click.Parameter, given: str | None) -> None:
    if given:
        _terminal(context).url = given


def _terminal(context: click.Context) -> Terminal:
    return context.ensure_object(Terminal)


class Command(click.Command):
    """A command that prints for people, or as JSON."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params += [
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_json,
                help="Print JSON on stdout.",
            ),
            click.Option(
                ["--url"],
                metavar="URL",
                expose_value=False,
                callback=_url,
                help="Where the service is (TUNERY_URL).",
            ),
        ]


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the job, not of the alphabet."""
        return list(self.commands)


Group.group_class = Group


def completing(fetch: Callable[[Client], list[str]]) -> Any:
    """Return a completion of names that the service knows; silent where it does not answer."""

    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            client = _terminal(context).client
            names = fetch(client.with_options(timeout=COMPLETION_SECONDS, max_retries=0))
        except TuneryError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return complete


def job_argument(function: F) -> F:
    """Take a job's id."""
    argument = click.argument("job", shell_complete=completing(_jobs))
    return argument(function)


def dataset_argument(function: F) -> F:
    """Take a dataset's id or name."""
    argument = click.argument("dataset", shell_complete=completing(_datasets))
    return argument(function)


def policy_options(function: F) -> F:
    """Take what happens to suspicious rows."""
    policies = (
        ("--labels", ["suggest", "merge", "reject"], "Variants of one label."),
        ("--duplicates", ["keep", "drop"], "Rows that repeat another."),
        ("--conflicts", ["keep", "majority", "drop", "reject"], "One text under several labels."),
        ("--leakage", ["drop_from_train", "warn", "reject"], "Training texts that test has, too."),
        ("--near-duplicates", ["find", "skip"], "Texts that are nearly the same."),
        ("--empty", ["reject", "drop"], "Rows without a text."),
    )
    encoding = click.option("--encoding", help="Of the file: a codec's name, or auto.")
    function = encoding(function)
    for name, choices, text in reversed(policies):
        function = click.option(name, type=click.Choice(choices), help=text)(function)
    return function


def file_options(function: F) -> F:
    """Take one file or a file per split, its columns, and what happens to suspicious rows."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    decorators = [
        click.argument("file", type=path, required=False),
        click.option("--train", type=path, help="The training rows, instead of FILE."),
        click.option("--validation", type=path, help="The validation rows."),
        click.option("--test", type=path, help="The test rows."),
        click.option("--task", type=click.Choice(get_args(Task)), default="text_classification",
                     show_default=True, help="What is learned."),
        click.option("--text", "text_column", help="The column of the texts; guessed."),
        click.option("--text-pair", "pair_column", help="The column of a second text each."),
        click.option("--label", "label_column", help="The column of the labels; guessed."),
        click.option("--label-separator", help="What parts several labels; else a JSON list."),
        policy_options,
    ]  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def gate_options(function: F) -> F:
    """Take what a version must have shown before it serves."""
    decorators = [
        click.option("--gate", "gated", is_flag=True,
                     help="Only if it is no worse than what serves, in no label either."),
        click.option("--minimum", "minima", multiple=True, metavar="METRIC=VALUE",
                     help="Only if a metric is at least so much; it means --gate, too."),
        click.option("--max-latency", metavar="MS", type=click.FloatRange(min=0, min_open=True),
                     help="Only if 19 of 20 single texts take no longer; it means --gate, too."),
    ]  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def gate_of(
    gated: bool, minima: Sequence[str], max_latency: float | None, dataset: str | None = None
) -> Gate | None:
    """Return the gate that was asked for, if any.

    Raises:
        UsageError: a minimum is no METRIC=VALUE.
    """
    if not gated and not minima and max_latency is None:
        return None
    bounds: dict[str, float] = {}
    for given in minima:
        name, _, value = given.rpartition("=")
        try:
            bounds[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise click.UsageError(f"--minimum {given}: METRIC=VALUE")
    return Gate(dataset=dataset, minimum=bounds, max_latency_ms=max_latency)


def abstain_of(given: str | None) -> Abstain | None:
    """Return when the version shall abstain, if it was asked for.

    Raises:
        UsageError: it is none of precision=, coverage= and cost=, or out of bounds.
    """
    if given is None:
        return None
    by, _, value = given.partition("=")
    name = "cost_of_error" if by == "cost" else by
    try:
        wanted: Abstain = msgspec.convert({"by": by, name: float(value)}, Abstain)
    except (ValueError, msgspec.ValidationError):
        raise click.UsageError(
            f"--abstain {given}: precision=0.95, coverage=0.8 or cost=5"
        ) from None
    return wanted


def deployment_names(client: Client) -> list[str]:
    """Return the names of the deployments."""
    return [each.name for each in next(client.deployments.list().pages()).data]


def _jobs(client: Client) -> list[str]:
    return [job.id for job in next(client.jobs.list().pages()).data]


def _datasets(client: Client) -> list[str]:
    page = next(client.datasets.list().pages())
    return sorted({dataset.name for dataset in page.data} | {each.id for each in page.data})
