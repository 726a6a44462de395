"""Evaluations of `AsyncClient`, see `_resources`."""

from tunery import _calls as calls
from tunery._async_resources.jobs import AsyncJob, AsyncJobs
from tunery._callers import PAGE, AsyncCaller, AsyncPages
from tunery._inputs import id_of, version_of
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


class AsyncEvaluations:
    """Evaluations: `client.evaluations`."""

    def __init__(self, caller: AsyncCaller, jobs: AsyncJobs) -> None:
        self._caller = caller
        self._jobs = jobs

    async def create(
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
    ) -> AsyncJob:
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
        return self._jobs.bound(await self._caller.send(calls.evaluate(spec), key=idempotency_key))

    async def of(self, job: str | JobState, *, timeout: float | None = None) -> Evaluation:
        """Return what an evaluate job found, or what followed a fine-tune; waits for it.

        Raises:
            JobFailed, JobCancelled, TimedOut: see `AsyncJobs.wait`.
            NotFound: the job leads to no evaluation.
        """
        ended = await self._jobs.wait(job, timeout=timeout)
        if ended.result is not None and ended.result.evaluate_job is not None:
            ended = await self._jobs.wait(ended.result.evaluate_job, timeout=timeout)
        if ended.result is None or ended.result.evaluation is None:
            raise NotFound(f"{ended.id} leads to no evaluation", code="evaluation-not-found")
        return await self.get(ended.result.evaluation)

    def list(
        self,
        *,
        dataset: str | Dataset | None = None,
        split: Split | None = None,
        model: str | None = None,
        version: str | ModelVersion | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> AsyncPages[Evaluation]:
        """Iterate over evaluations, newest first, or by a metric.

        `sort="-accuracy"` begins with the largest, `sort="loss"` with the least; what has no such
        figure is left out.
        """
        on = None if dataset is None else id_of(dataset)
        of = None if version is None else version_of(version)
        return AsyncPages(
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

    async def list_csv(
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
        return await self._caller.send(call)

    async def get(self, evaluation: str | Evaluation) -> Evaluation:
        """Return an evaluation."""
        return await self._caller.send(calls.get_evaluation(id_of(evaluation)))

    async def report(self, evaluation: str | Evaluation) -> str:
        """Return the report for people, an HTML page that needs nothing else and runs nothing."""
        return await self._caller.send(calls.get_evaluation_report(id_of(evaluation)))

    async def card(self, evaluation: str | Evaluation) -> str:
        """Return the measured facts as Markdown: a model card."""
        call = calls.get_evaluation_report(id_of(evaluation), media_type=calls.MARKDOWN)
        return await self._caller.send(call)

    async def plot(self, evaluation: str | Evaluation, plot: EvaluationPlot) -> str:
        """Return one plot of the report as SVG.

        Raises:
            NotFound: the evaluation has nothing to plot there.
        """
        call = calls.get_evaluation_report(id_of(evaluation), media_type=calls.SVG, plot=plot)
        return await self._caller.send(call)

    def errors(
        self,
        evaluation: str | Evaluation,
        *,
        true: str | None = None,
        predicted: str | None = None,
        right: bool = False,
        sort: ErrorSort = "row",
    ) -> AsyncPages[EvaluatedRow]:
        """Iterate over the rows that were answered wrong; with `right`, over the others, too.

        `true` and `predicted` are labels; `sort="-loss"` begins with what the model finds hardest.
        """
        evaluation_id = id_of(evaluation)
        return AsyncPages(
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
