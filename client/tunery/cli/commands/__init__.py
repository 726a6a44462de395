"""The commands, one module per resource, and the root that holds them."""

import click

from tunery import __version__
from tunery.cli.commands.comparisons import compare
from tunery.cli.commands.datasets import datasets
from tunery.cli.commands.deployments import (
    deploy,
    deployments,
    devices,
    rollback,
    undeploy,
)
from tunery.cli.commands.evaluations import errors, evaluate, leaderboard, report
from tunery.cli.commands.finetune import finetune
from tunery.cli.commands.jobs import jobs
from tunery.cli.commands.keys import keys
from tunery.cli.commands.label_issues import label_issues, relabel
from tunery.cli.commands.machine import completion, doctor, metrics, serve
from tunery.cli.commands.models import models
from tunery.cli.commands.predict import predict
from tunery.cli.commands.problems import problems
from tunery.cli.commands.recipes import recipes
from tunery.cli.options import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tunery", message="%(prog)s %(version)s")
def root() -> None:
    """Fine-tune a transformer over HTTP, prove it, hot-load it, serve it.

    Exit status: 0 done; 1 refused; 2 wrong usage; 3 the data was rejected; 4 a job or a deployment
    failed; 5 the service can't be reached; 130 interrupted.
    """


for _command in (
    serve,
    datasets,
    finetune,
    recipes,
    jobs,
    evaluate,
    errors,
    compare,
    report,
    leaderboard,
    models,
    deploy,
    rollback,
    undeploy,
    deployments,
    devices,
    predict,
    keys,
    doctor,
    metrics,
    problems,
    completion,
):
    root.add_command(_command)
for _command in (label_issues, relabel):
    datasets.add_command(_command)
