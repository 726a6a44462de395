"""Evaluations: `client.evaluations`."""

from tunery import _calls as calls
from tunery._callers import PAGE, Caller, Pages
from tunery._inputs import id_of, version_of
from tunery._resources.jobs import Job, Jobs
from tunery.errors import NotFound
from tunery.types import (
    Dataset,
    ErrorSort,
    EvaluatedRow,
    EvaluateSpec,
    Evaluation,
    EvaluationPlot,
    ModelVersion,
    RuntimeName,
    ServingPrecision,
    Split,
)
from tunery.types import Job as JobState


class Evaluations:
    """Evaluations: `client.evaluations`."""

    def __init__(self, caller: Caller, jobs: Jobs) -> None:
        self._caller = caller
        self._jobs = jobs

    def create(
        self,
        version: str | ModelVersion | None = None,
        *,
        dataset: str | Dataset,
        checkpoint: str | None = None,
        split: Split = "test",
        allow_train: bool = False,
        runtime: RuntimeName | None = None,
        precision: ServingPrecision = "fp32",
        primary_metric: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queue an evaluation of a version, or of a checkpoint, and return its job.

        `runtime` and `precision` are those that it is to be served with; `primary_metric` is that
        of the fine-tune, unless given.
        """
        spec = EvaluateSpec(
            version=None if version is None else version_of(version),
            checkpoint=checkpoint,
            dataset=id_of(dataset),
            split=split,
            allow_train=allow_train,
            runtime=runtime or "auto",
            precision=precision,
            primary_metric=primary_metric,
        )
        return self._jobs.bound(self._caller.send(calls.evaluate(spec), key=idempotency_key))

    def of(self, job: str | JobState, *, timeout: float | None = None) -> Evaluation:
        """Return what an evaluate job found, or what followed a fine-tune; waits for it.

        Raises:
            JobFailed, JobCancelled, TimedOut: see `Jobs.wait`.
            NotFound: the job leads to no evaluation.
        """
        ended = self._jobs.wait(job, timeout=timeout)
        if ended.result is not None and ended.result.evaluate_job is not None:
            ended = self._jobs.wait(ended.result.evaluate_job, timeout=timeout)
        if ended.result is None or ended.result.evaluation is None:
            raise NotFound(f"{ended.id} leads to no evaluation", code="evaluation-not-found")
        return self.get(ended.result.evaluation)

    def list(
        self,
        *,
        dataset: str | Dataset | None = None,
        split: Split | None = None,
        model: str | None = None,
        version: str | ModelVersion | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Pages[Evaluation]:
        """Iterate over evaluations, newest first, or by a metric.

        `sort="-accuracy"` begins with the largest, `sort="loss"` with the least; what has no such
        figure is left out.
        """
        on = None if dataset is None else id_of(dataset)
        of = None if version is None else version_of(version)
        return Pages(
            lambda last: self._caller.send(
                calls.list_evaluations(
                    limit=PAGE,
                    after=last or after,
                    dataset=on,
                    split=split,
                    model=model,
                    version=of,
                    sort=sort,
                )
            )
        )

    def list_csv(
        self,
        *,
        dataset: str | Dataset | None = None,
        split: Split | None = None,
        model: str | None = None,
        version: str | ModelVersion | None = None,
        sort: str | None = None,
    ) -> str:
        """Return all evaluations of a list as CSV: a line each, a column per metric; see `list`."""
        call = calls.list_evaluations_csv(
            dataset=None if dataset is None else id_of(dataset),
            split=split,
            model=model,
            version=None if version is None else version_of(version),
            sort=sort,
        )
        return self._caller.send(call)

    def get(self, evaluation: str | Evaluation) -> Evaluation:
        """Return an evaluation."""
        return self._caller.send(calls.get_evaluation(id_of(evaluation)))

    def report(self, evaluation: str | Evaluation) -> str:
        """Return the report for people, an HTML page that needs nothing else and runs nothing."""
        return self._caller.send(calls.get_evaluation_report(id_of(evaluation)))

    def card(self, evaluation: str | Evaluation) -> str:
        """Return the measured facts as Markdown: a model card."""
        call = calls.get_evaluation_report(id_of(evaluation), media_type=calls.MARKDOWN)
        return self._caller.send(call)

    def plot(self, evaluation: str | Evaluation, plot: EvaluationPlot) -> str:
        """Return one plot of the report as SVG.

        Raises:
            NotFound: the evaluation has nothing to plot there.
        """
        call = calls.get_evaluation_report(id_of(evaluation), media_type=calls.SVG, plot=plot)
        return self._caller.send(call)

    def errors(
        self,
        evaluation: str | Evaluation,
        *,
        true: str | None = None,
        predicted: str | None = None,
        right: bool = False,
        sort: ErrorSort = "row",
    ) -> Pages[EvaluatedRow]:
        """Iterate over the rows that were answered wrong; with `right`, over the others, too.

        `true` and `predicted` are labels; `sort="-loss"` begins with what the model finds hardest.
        """
        evaluation_id = id_of(evaluation)
        return Pages(
            lambda last: self._caller.send(
                calls.list_errors(
                    evaluation_id,
                    true=true,
                    predicted=predicted,
                    right=right,
                    sort=sort,
                    limit=PAGE,
                    after=last,
                )
            )
        )
