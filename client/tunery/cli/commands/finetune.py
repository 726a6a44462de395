"""`tunery finetune`: start a job and watch it."""

import re
from difflib import get_close_matches
from typing import Any, get_args

import click
import msgspec

from tunery._progress import duration
from tunery.cli.commands.evaluations import print_evaluation
from tunery.cli.commands.jobs import print_started
from tunery.cli.names import dataset_id
from tunery.cli.options import Command, abstain_of, dataset_argument, gate_of, gate_options
from tunery.cli.tables import Fact, facts, resolved_text, size
from tunery.cli.terminal import Terminal
from tunery.cli.watch import watch_job
from tunery.types import DryRun, Estimate, Hyperparameters, JobResult, RecipeName

_SHORTHANDS = (
    ("--epochs", "Passes over the training split."),
    ("--learning-rate", "Peak of the schedule."),
    ("--batch-size", "Examples of one optimizer step."),
    ("--max-steps", "Optimizer steps, instead of epochs."),
    ("--max-minutes", "End the run in time; the best checkpoint is kept."),
    ("--max-length", "Tokens of a text."),
    ("--seed", "Of everything random."),
)


def _hyperparameter_options(function: Any) -> Any:
    for name, text in reversed(_SHORTHANDS):
        function = click.option(name, metavar="N", help=text)(function)
    return function


@click.command(cls=Command)
@dataset_argument
@click.option("--model", required=True, help="Name of the model that gets a new version.")
@click.option("--base-model", default="minilm-l6", show_default=True,
              help="What is fine-tuned: a base model, or a version such as intent/2.")  # fmt: skip
@click.option("--recipe", type=click.Choice(["auto", *get_args(RecipeName)]), default="auto",
              show_default=True, help="Named defaults: tunery recipes.")  # fmt: skip
@click.option("--primary-metric", metavar="METRIC",
              help="Chooses the best checkpoint, such as macro_f2 or recall@spam.")  # fmt: skip
@_hyperparameter_options
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any hyperparameter.")
@click.option("--deploy", help="Deploy the new version under this name.")
@gate_options
@click.option(
    "--abstain",
    metavar="HOW",
    help="Answer only where sure: precision=0.95, coverage=0.8, or cost=5, which is what "
    "a wrong answer costs where none costs 1.",
)
@click.option("--no-evaluate", is_flag=True, help="Leave the test split unread.")
@click.option("--priority", type=click.IntRange(0, 100), default=50, help="Higher goes first.")
@click.option("--detach", is_flag=True, help="Return at once, without watching.")
@click.option("--estimate", is_flag=True, help="Only forecast steps, time, memory and disk.")
@click.option("--dry-run", is_flag=True, help="Only rehearse it, on a hundredth of the rows.")
@click.pass_obj
def finetune(
    terminal: Terminal,
    /,
    dataset: str,
    model: str,
    base_model: str,
    recipe: Any,
    primary_metric: str | None,
    others: tuple[str, ...],
    deploy: str | None,
    gated: bool,
    minima: tuple[str, ...],
    max_latency: float | None,
    abstain: str | None,
    no_evaluate: bool,
    priority: int,
    detach: bool,
    estimate: bool,
    dry_run: bool,
    **shorthands: str | None,
) -> None:
    """Fine-tune on DATASET, an id or a name. Watches it; Ctrl-C leaves it running."""
    hyperparameters = _hyperparameters(shorthands, others, terminal)
    wanted = abstain_of(abstain)
    if estimate:
        found = terminal.client.finetune.estimate(
            dataset_id(dataset, terminal),
            model=model,
            base_model=base_model,
            recipe=recipe,
            hyperparameters=hyperparameters,
            abstain=wanted,
            priority=priority,
        )
        print_estimate(terminal, found)
        return
    job = terminal.client.finetune(
        dataset_id(dataset, terminal),
        model=model,
        base_model=base_model,
        recipe=recipe,
        primary_metric=primary_metric,
        hyperparameters=hyperparameters,
        priority=priority,
        evaluate=not no_evaluate,
        deploy=deploy,
        gate=gate_of(gated, minima, max_latency),
        abstain=wanted,
        dry_run=dry_run,
    )
    if detach:
        print_started(terminal, job)
        return
    ended = watch_job(terminal, job)
    result = ended.result or JobResult()
    if result.dry_run is not None:
        print_dry_run(terminal, result.dry_run)
        return
    evaluation = None
    if result.evaluate_job is not None:
        terminal.say("evaluating on the test split")
        evaluation = terminal.client.evaluations.of(result.evaluate_job)
    deployed = terminal.client.deployments.wait(deploy) if deploy else None
    if terminal.json:
        terminal.data({"job": ended, "evaluation": evaluation, "deployment": deployed})
        return
    terminal.say("{version} is registered", version=result.version)
    if evaluation is not None:
        print_evaluation(terminal, evaluation)
    if deploy:
        terminal.say("{name} serves {version}; ask it: tunery predict {name} TEXT",
                     name=deploy, version=result.version)  # fmt: skip
    else:
        terminal.say("Serve it: tunery deploy NAME {version}", version=result.version)


def print_estimate(terminal: Terminal, found: Estimate) -> None:
    """Print a forecast, and what it rests on."""
    if terminal.json:
        terminal.data(found)
        return
    translate = terminal.translate
    seconds, source = found.seconds, found.measured
    rests_on = found.reason
    if source is not None and source.alike:
        rests_on = translate("the pace of {job}", job=source.job)
    elif source is not None:
        rests_on = translate("the pace of {job}, which was set otherwise", job=source.job)
    rows: list[Fact] = [
        ("rows", f"{found.rows:,}"),
        ("steps", f"{found.steps:,}"),
        ("time", None if seconds is None else duration(seconds, translate)),
        ("rests on", rests_on),
        ("memory", size(found.memory_bytes)),
        ("disk", size(found.disk_bytes)),
        ("queue", None if found.queue is None else f"{found.queue.position}"),
        ("hyperparameters", resolved_text(found.resolved)),
    ]
    terminal.show(facts(rows, translate))


def print_dry_run(terminal: Terminal, found: DryRun) -> None:
    """Print what a rehearsal has shown."""
    if terminal.json:
        terminal.data(found)
        return
    proof = "–" if found.parity is None else f"{found.parity.largest_difference:.1e}"
    rows: list[Fact] = [
        ("steps", f"{found.steps:,}"),
        ("loss", f"{found.first_loss:.3f} → {found.last_loss:.3f}"),
        ("seconds a step", f"{found.seconds_per_step:.3f}"),
        ("memory", size(found.peak_memory_bytes)),
        ("a checkpoint", size(found.checkpoint_bytes)),
        ("the version", size(found.version_bytes)),
        ("served by", f"{found.runtime}, {found.load_ms:.0f} ms"),
        ("largest difference", proof),
    ]
    terminal.show(facts(rows, terminal.translate))
    terminal.say("It trained, was saved, exported, loaded and asked; nothing is kept.")


def _hyperparameters(
    shorthands: dict[str, str | None], others: tuple[str, ...], terminal: Terminal
) -> Hyperparameters:
    given = {name: value for name, value in shorthands.items() if value is not None}
    for other in others:
        name, equals, value = other.partition("=")
        if not equals:
            raise click.UsageError(f"--set {other}: NAME=VALUE")
        given[name.replace("-", "_")] = value
    for name in given:
        if name not in Hyperparameters.__struct_fields__:
            raise click.UsageError(_unknown(name, terminal))
    try:
        return msgspec.convert(
            {name: _value(text) for name, text in given.items()}, Hyperparameters
        )
    except msgspec.ValidationError as error:
        raise click.UsageError(_unusable(str(error), given, terminal)) from None


def _unusable(error: str, given: dict[str, str], terminal: Terminal) -> str:
    why, _, path = error.partition(" - at `$.")
    name = path.rstrip("`").partition(".")[0]
    text = terminal.translate("{name} can't be {value}", name=name, value=given[name])
    bound = re.search(r"[<>]=? \S+$", why)
    return text + (terminal.translate("; it must be {bound}", bound=bound.group()) if bound else "")


def _unknown(name: str, terminal: Terminal) -> str:
    known = Hyperparameters.__struct_fields__
    text = terminal.translate("there is no hyperparameter {name}", name=name)
    near = get_close_matches(name, known, n=2)
    if near:
        return text + terminal.translate("; did you mean {name}?", name=", ".join(near))
    return text + terminal.translate("; there are {names}", names=", ".join(known))


def _value(text: str) -> Any:
    """Return a number, a word or JSON, as it was meant."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
