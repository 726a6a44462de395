"""The namespaces of `Client`: `client.datasets.list()` and their like.

Each method is one call of `_calls`, or a loop over some. `_async_resources` says the same with
await; a test compares the two.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from tunery import _calls as calls
from tunery._callers import Caller, Pages
from tunery._inputs import (
    dataset_spec,
    finetune_spec,
    id_of,
    is_file_id,
    relabelling,
    the_sources,
    version_of,
    version_spec,
)
from tunery._progress import JobProgress
from tunery._uploads import FileBody, OnProgress, Source, media_type_of, name_of, stem_of
from tunery._watching import Patience, deployment_outcome
from tunery.errors import (
    DeploymentFailed,
    JobCancelled,
    NotFound,
    TuneryError,
    dataset_rejected,
    deployment_failed,
    job_failed,
)
from tunery.types import (
    Abstain,
    BaseModel,
    Checkpoint,
    Checkpoints,
    Columns,
    Dataset,
    DatasetDiff,
    Deployment,
    DeploymentSpec,
    Device,
    ErrorSort,
    Estimate,
    EvaluatedRow,
    EvaluateSpec,
    Evaluation,
    EvaluationPlot,
    Event,
    File,
    Gate,
    Hyperparameters,
    JobKind,
    JobStatus,
    Key,
    KeySpec,
    LabelIssue,
    LabelIssuesSpec,
    ListedFinding,
    LogText,
    MetricPoint,
    Model,
    ModelVersion,
    NewKey,
    Policies,
    Preview,
    Recipe,
    RecipeChoice,
    Report,
    Row,
    RowLabel,
    RuntimeName,
    ServingPrecision,
    Split,
    SplitSpec,
    Strategy,
    Task,
    Transform,
    TransformOp,
)
from tunery.types import Job as JobState
from tunery.types.keys import Scope

Shown = TypeVar("Shown")
PAGE = 100  # items of a page; the service gives no more at once


class Job(JobState, kw_only=True, frozen=True, dict=True):
    """A job of the contract that can be waited for: it knows the client it came from."""

    def wait(
        self,
        *,
        timeout: float | None = None,
        progress: bool = False,
        on_update: Callable[[JobState], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        check: bool = True,
    ) -> "Job":
        """Wait for the end and return the job as it is then; see `Jobs.wait`."""
        return self._jobs.wait(
            self,
            timeout=timeout,
            progress=progress,
            on_update=on_update,
            on_event=on_event,
            check=check,
        )

    def events(self, *, after: int = 0, timeout: float | None = None) -> Iterator[Event]:
        """Yield what happens to the job; see `Jobs.events`."""
        return self._jobs.events(self, after=after, timeout=timeout)

    def refresh(self) -> "Job":
        """Return the job as it is now."""
        return self._jobs.get(self.id)

    def cancel(self) -> "Job":
        """Cancel the job; one that has ended stays as it is."""
        return self._jobs.cancel(self)

    def pause(self) -> "Job":
        """Pause the fine-tune at its next step."""
        return self._jobs.pause(self)

    def resume(self) -> "Job":
        """Queue the paused fine-tune again."""
        return self._jobs.resume(self)

    def logs(self, *, tail: int = 200) -> LogText:
        """Return the last lines of the job's log."""
        return self._jobs.logs(self, tail=tail)

    def metrics(
        self, *, names: Sequence[str] | None = None, downsample: int | None = None
    ) -> Sequence[MetricPoint]:
        """Return the job's metrics, by step; see `Jobs.metrics`."""
        return self._jobs.metrics(self, names=names, downsample=downsample)

    def metrics_csv(
        self, *, names: Sequence[str] | None = None, downsample: int | None = None
    ) -> str:
        """Return the job's metrics as CSV; see `Jobs.metrics_csv`."""
        return self._jobs.metrics_csv(self, names=names, downsample=downsample)

    def checkpoints(self) -> Sequence[Checkpoint]:
        """Return the job's checkpoints that are still kept, newest first."""
        return self._jobs.checkpoints(self)

    @property
    def _jobs(self) -> "Jobs":
        jobs = vars(self).get("jobs")
        if not isinstance(jobs, Jobs):
            raise TuneryError(f"{self.id} was copied and knows no client; use client.jobs.get()")
        return jobs


class Files:
    """Uploaded files: `client.files`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        media_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> File:
        """Upload a path, bytes or an open binary file, in pieces; what arrived is checked.

        Raises:
            OSError: the file can't be read.
            InvalidArgument: the name does not say the media type, nor does `media_type`.
        """
        called = name or name_of(source)
        body = FileBody(source, on_progress)
        call = calls.upload_file(body, name=called, media_type=media_type or media_type_of(called))
        file = self._caller.send(call)
        body.check(file)
        return file

    def get(self, file: str | File) -> File:
        """Return a file's description."""
        return self._caller.send(calls.get_file(id_of(file)))

    def delete(self, file: str | File) -> None:
        """Delete a file; datasets that were made from it stay."""
        self._caller.send(calls.delete_file(id_of(file)))


class Datasets:
    """Datasets: `client.datasets`."""

    def __init__(self, caller: Caller, files: Files, jobs: "Jobs") -> None:
        self._caller = caller
        self._files = files
        self._jobs = jobs

    def create(
        self,
        file: Source | File | None = None,
        *,
        train: Source | File | None = None,
        validation: Source | File | None = None,
        test: Source | File | None = None,
        name: str | None = None,
        task: Task = "text_classification",
        columns: Columns | None = None,
        split: SplitSpec | None = None,
        policies: Policies | None = None,
        wait: bool = True,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Dataset:
        """Register one file that is split, or a file per split; upload what is no file id yet.

        Returns when the dataset is ready; with `wait=False` while it is validated.

        Raises:
            DatasetRejected: the file is not acceptable; the error holds its report.
        """
        sources: dict[str, Source | File] = the_sources(file, train, validation, test)
        called = name or stem_of(next(iter(sources.values())))
        ids = {split: self._uploaded(each, on_progress) for split, each in sources.items()}
        spec = dataset_spec(called, ids, task=task, columns=columns, split=split, policies=policies)
        dataset = self._caller.send(calls.create_dataset(spec))
        return self.wait(dataset, timeout=timeout) if wait else dataset

    def transform(
        self,
        dataset: str | Dataset,
        transforms: Sequence[Transform | TransformOp],
        *,
        policies: Policies | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Dataset:
        """Make the next version of a dataset's name from its rows; the dataset stays as it is.

        A transform such as `strip_html` may be given by its name. Without `policies` those of the
        dataset hold. Returns when the version is ready; with `wait=False` while it is validated.

        Raises:
            DatasetRejected: what the transforms left is not acceptable; the error holds its report.
        """
        spec = version_spec(transforms, policies)
        made = self._caller.send(calls.transform_dataset(id_of(dataset), spec))
        return self.wait(made, timeout=timeout) if wait else made

    def wait(self, dataset: str | Dataset, *, timeout: float | None = None) -> Dataset:
        """Wait until a dataset is ready and return it.

        Raises:
            DatasetRejected: it is not acceptable; the error holds its report.
            TimedOut: it is still validated after `timeout` seconds.
        """
        dataset_id = id_of(dataset)
        patience = Patience(dataset_id, timeout)
        for seen in self._caller.updates(calls.get_dataset(dataset_id), patience):
            if seen.status == "ready":
                return seen
            if seen.status == "rejected":
                raise dataset_rejected(seen, self._report_or_none(dataset_id))
        raise AssertionError("updates never end")

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        after: str | None = None,
    ) -> Pages[Dataset]:
        """Iterate over datasets, newest first."""
        return Pages(
            lambda last: self._caller.send(
                calls.list_datasets(limit=PAGE, after=last or after, status=status, name=name)
            )
        )

    def get(self, dataset: str | Dataset) -> Dataset:
        """Return a dataset as it is now."""
        return self._caller.send(calls.get_dataset(id_of(dataset)))

    def delete(self, dataset: str | Dataset) -> None:
        """Delete a dataset; models that were trained on it stay."""
        self._caller.send(calls.delete_dataset(id_of(dataset)))

    def report(self, dataset: str | Dataset) -> Report:
        """Return everything that was found in a dataset, also in a rejected one."""
        return self._caller.send(calls.get_report(id_of(dataset)))

    def findings(self, dataset: str | Dataset) -> Sequence[ListedFinding]:
        """Return every finding, where a report has the first 1,000, and every row left out."""
        return self._caller.send(calls.list_findings(id_of(dataset)))

    def rows(self, dataset: str | Dataset, *, split: Split = "train") -> Pages[Row]:
        """Iterate over the rows of a split, in file order."""
        dataset_id = id_of(dataset)
        return Pages(
            lambda last: self._caller.send(
                calls.list_rows(dataset_id, split=split, limit=PAGE, after=last)
            )
        )

    def find_label_issues(
        self,
        dataset: str | Dataset,
        *,
        base_model: str = "minilm-l6",
        splits: Sequence[Split] | None = None,
        folds: int = 5,
        seed: int = 42,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queue a search for rows whose label is likely wrong, and return its job.

        Each row is judged by what has read the other `folds`, over the features of a base model
        that has learned no labels. `scratch-mini` stands for TF-IDF of characters, for languages
        that no installed base covers. Without `splits` the rows of all are judged.
        """
        spec = LabelIssuesSpec(
            base_model=base_model,
            splits=None if splits is None else list(splits),
            folds=folds,
            seed=seed,
        )
        call = calls.find_label_issues(id_of(dataset), spec)
        return self._jobs.bound(self._caller.send(call, key=idempotency_key))

    def label_issues(
        self, dataset: str | Dataset, *, split: Split | None = None
    ) -> Pages[LabelIssue]:
        """Iterate over the rows whose label is likely wrong, the worst first.

        They are those that the newest job of `find_label_issues` has found.

        Raises:
            LabelIssuesNotFound: none has succeeded yet.
        """
        dataset_id = id_of(dataset)
        return Pages(
            lambda last: self._caller.send(
                calls.list_label_issues(dataset_id, split=split, limit=PAGE, after=last)
            )
        )

    def relabel(
        self,
        dataset: str | Dataset,
        rows: Iterable[LabelIssue | RowLabel],
        *,
        policies: Policies | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Dataset:
        """Make the next version of a dataset's name, in which rows have other labels.

        A label issue gets the label that it suggests, a `RowLabel` its own; see `transform`.

        Raises:
            InvalidArgument: there are no rows.
            DatasetRejected: what came of it is not acceptable; the error holds its report.
        """
        transforms = relabelling(rows)
        return self.transform(dataset, transforms, policies=policies, wait=wait, timeout=timeout)

    def preview(
        self,
        dataset: str | Dataset,
        *,
        base_model: str = "minilm-l6",
        max_length: int | None = None,
    ) -> Preview:
        """Return the first training rows as a base model would see them."""
        call = calls.preview_dataset(id_of(dataset), base_model=base_model, max_length=max_length)
        return self._caller.send(call)

    def diff(self, dataset: str | Dataset, *, since: str | Dataset) -> DatasetDiff:
        """Return what changed in a dataset since another one."""
        return self._caller.send(calls.diff_datasets(id_of(dataset), since=id_of(since)))

    def _uploaded(self, source: Source | File, on_progress: OnProgress | None) -> str:
        if isinstance(source, File):
            return source.id
        if isinstance(source, str) and is_file_id(source):
            return source
        return self._files.upload(source, on_progress=on_progress).id

    def _report_or_none(self, dataset_id: str) -> Report | None:
        try:
            return self.report(dataset_id)
        except TuneryError:  # the rejection says more than that its report did not come
            return None


class Jobs:
    """Everything that takes time: `client.jobs`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(
        self,
        *,
        status: JobStatus | None = None,
        kind: JobKind | None = None,
        dataset: str | Dataset | None = None,
        after: str | None = None,
    ) -> Pages[JobState]:
        """Iterate over jobs, newest first."""
        of = None if dataset is None else id_of(dataset)
        return Pages(
            lambda last: self._caller.send(
                calls.list_jobs(
                    limit=PAGE, after=last or after, status=status, kind=kind, dataset=of
                )
            )
        )

    def get(self, job: str | JobState) -> Job:
        """Return a job as it is now."""
        return self.bound(self._caller.send(calls.get_job(id_of(job))))

    def wait(
        self,
        job: str | JobState,
        *,
        timeout: float | None = None,
        progress: bool = False,
        on_update: Callable[[JobState], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        check: bool = True,
    ) -> Job:
        """Wait for a job's end, through lost connections and restarts of the service.

        `progress` draws it in the terminal. `on_update` is called with the job at each change,
        `on_event` with each event, in order. With `check=False` a job that failed or was
        cancelled is returned like any other.

        Raises:
            JobFailed: it failed; the error holds the reason and the end of the log.
            JobCancelled: it was cancelled.
            TimedOut: it has not ended after `timeout` seconds; it goes on.
        """
        job_id = id_of(job)
        if progress:
            with JobProgress() as shown:
                ended = self._follow(
                    job_id,
                    timeout,
                    on_update=_both(shown.update, on_update),
                    on_event=_both(shown.event, on_event),
                )
        else:
            ended = self._follow(job_id, timeout, on_update=on_update, on_event=on_event)
        if check and ended.status == "failed":
            raise job_failed(ended)
        if check and ended.status == "cancelled":
            raise JobCancelled(f"{job_id} was cancelled", job=ended)
        return ended

    def events(
        self, job: str | JobState, *, after: int = 0, timeout: float | None = None
    ) -> Iterator[Event]:
        """Yield a job's events until its end, each once and in order.

        Goes on after a lost connection and a restart of the service where it was.

        Raises:
            TimedOut: the job has not ended after `timeout` seconds.
        """
        job_id = id_of(job)
        return self._caller.events(job_id, after, Patience(job_id, timeout))

    def cancel(self, job: str | JobState) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return self.bound(self._caller.send(calls.cancel_job(id_of(job))))

    def pause(self, job: str | JobState) -> Job:
        """Pause a running fine-tune at its next step; it gives its device back."""
        return self.bound(self._caller.send(calls.pause_job(id_of(job))))

    def resume(self, job: str | JobState) -> Job:
        """Queue a paused fine-tune again; it goes on from its last checkpoint."""
        return self.bound(self._caller.send(calls.resume_job(id_of(job))))

    def logs(self, job: str | JobState, *, tail: int = 200) -> LogText:
        """Return the last lines that the last attempt has logged."""
        return self._caller.send(calls.get_logs(id_of(job), tail=tail))

    def metrics(
        self,
        job: str | JobState,
        *,
        names: Sequence[str] | None = None,
        downsample: int | None = None,
    ) -> Sequence[MetricPoint]:
        """Return a job's metrics, by step: all of them, or those of `names`.

        `downsample` is how many points of a metric come at most: its first, its last, and the
        extremes between.
        """
        call = calls.get_metrics(id_of(job), names=names, downsample=downsample)
        return self._caller.send(call).data

    def metrics_csv(
        self,
        job: str | JobState,
        *,
        names: Sequence[str] | None = None,
        downsample: int | None = None,
    ) -> str:
        """Return a job's metrics as CSV: a line per step, a column per metric; see `metrics`."""
        call = calls.get_metrics_csv(id_of(job), names=names, downsample=downsample)
        return self._caller.send(call)

    def checkpoints(self, job: str | JobState) -> Sequence[Checkpoint]:
        """Return a job's checkpoints that are still kept, newest first."""
        return self._caller.send(calls.list_checkpoints(id_of(job))).data

    def bound(self, state: JobState) -> Job:
        """Return a job that knows this client."""
        job = Job(**msgspec.structs.asdict(state))
        vars(job)["jobs"] = self
        return job

    def _follow(
        self,
        job_id: str,
        timeout: float | None,
        *,
        on_update: Callable[[JobState], None] | None,
        on_event: Callable[[Event], None] | None,
    ) -> Job:
        patience = Patience(job_id, timeout)
        last_seq = 0
        for state in self._caller.updates(calls.get_job(job_id), patience):
            if on_event is not None:
                for event in self._events_so_far(job_id, last_seq, patience):
                    last_seq = event.seq
                    on_event(event)
            if on_update is not None:
                on_update(state)
            if state.terminal:
                return self.bound(state)
        raise AssertionError("updates never end")

    def _events_so_far(self, job_id: str, after: int, patience: Patience) -> Iterator[Event]:
        page = self._caller.ask(calls.list_events(job_id, after=after), patience)
        yield from page.data
        while page.has_more:
            page = self._caller.ask(calls.list_events(job_id, after=page.last_seq), patience)
            yield from page.data


class Finetune:
    """Fine-tunes: `client.finetune(dataset, model="intent")` starts one."""

    def __init__(self, caller: Caller, jobs: Jobs) -> None:
        self._caller = caller
        self._jobs = jobs

    def __call__(
        self,
        dataset: str | Dataset,
        *,
        model: str,
        base_model: str = "minilm-l6",
        recipe: RecipeChoice = "auto",
        primary_metric: str | None = None,
        hyperparameters: Hyperparameters | None = None,
        checkpoints: Checkpoints | None = None,
        priority: int = 50,
        evaluate: bool = True,
        deploy: str | None = None,
        gate: Gate | None = None,
        metadata: Mapping[str, str] | None = None,
        abstain: Abstain | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queue a fine-tune and return its job; on success it registers a version of `model`.

        `base_model` is one of `client.models.base_models()`, or a version such as `intent/2`:
        labels that it knows keep their rows of its head, others begin anew.
        `primary_metric`, such as `macro_f2` or `recall@spam`, chooses the best checkpoint, ends the
        run early and is told first by evaluations.
        `evaluate` reads the test split afterwards; `deploy` names what then serves the version, if
        that has passed the `gate`. With `abstain` the version says where it is not sure enough.
        With `dry_run` it is only rehearsed, on a hundredth of the rows: `result.dry_run` says what
        that has shown. A program that may be started twice passes its own `idempotency_key`.
        """
        spec = finetune_spec(
            dataset,
            model=model,
            base_model=base_model,
            recipe=recipe,
            primary_metric=primary_metric,
            hyperparameters=hyperparameters,
            checkpoints=checkpoints,
            priority=priority,
            evaluate=evaluate,
            deploy=deploy,
            gate=gate,
            metadata=metadata,
            abstain=abstain,
            dry_run=dry_run,
        )
        return self._jobs.bound(self._caller.send(calls.finetune(spec), key=idempotency_key))

    def estimate(
        self,
        dataset: str | Dataset,
        *,
        model: str = "estimate",
        base_model: str = "minilm-l6",
        recipe: RecipeChoice = "auto",
        hyperparameters: Hyperparameters | None = None,
        checkpoints: Checkpoints | None = None,
        abstain: Abstain | None = None,
        priority: int = 50,
    ) -> Estimate:
        """Return what a fine-tune would take: steps, seconds, memory, disk; nothing is queued."""
        spec = finetune_spec(
            dataset,
            model=model,
            base_model=base_model,
            recipe=recipe,
            hyperparameters=hyperparameters,
            checkpoints=checkpoints,
            priority=priority,
            evaluate=True,
            deploy=None,
            gate=None,
            metadata=None,
            abstain=abstain,
        )
        return self._caller.send(calls.estimate_finetune(spec))


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


class Models:
    """Models and their versions: `client.models`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, after: str | None = None) -> Pages[Model]:
        """Iterate over models, by name."""
        return Pages(
            lambda last: self._caller.send(calls.list_models(limit=PAGE, after=last or after))
        )

    def get(self, name: str) -> Model:
        """Return a model and its newest version."""
        return self._caller.send(calls.get_model(name))

    def version(self, version: str | ModelVersion) -> ModelVersion:
        """Return a version, such as `intent/3`, with its whole lineage."""
        return self._caller.send(calls.get_model_version(version_of(version)))

    def base_models(self) -> Sequence[BaseModel]:
        """Return what may be fine-tuned."""
        return self._caller.send(calls.list_base_models()).data

    def recipes(self) -> Sequence[Recipe]:
        """Return the named defaults of a fine-tune, each rule with its source."""
        return self._caller.send(calls.list_recipes()).data


class Deployments:
    """Names that answer predictions: `client.deployments`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def deploy(
        self,
        name: str,
        version: str | ModelVersion | None = None,
        *,
        checkpoint: str | None = None,
        replicas: int | None = None,
        runtime: RuntimeName | None = None,
        precision: ServingPrecision = "fp32",
        strategy: Strategy = "swap",
        pinned: bool = False,
        allow_label_change: bool = False,
        gate: Gate | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Deployment:
        """Let a name serve a version, or a checkpoint; what serves until then drops no request.

        `strategy="recreate"` unloads the old version first, where memory does not hold both. What
        is `pinned` is never unloaded to make room for others. A version with other labels than what
        serves is refused unless `allow_label_change` says so.
        With a `gate` it must have shown first that it is good enough, and no worse than what
        serves.

        Raises:
            GateFailed: evaluations speak against it.
            DeploymentFailed: it does not serve it; what served before serves on.
            TimedOut: it is still loading after `timeout` seconds.
        """
        spec = DeploymentSpec(
            version=None if version is None else version_of(version),
            checkpoint=checkpoint,
            replicas=replicas or "auto",
            runtime=runtime or "auto",
            precision=precision,
            strategy=strategy,
            pinned=pinned,
            allow_label_change=allow_label_change,
            gate=gate,
        )
        deployment = self._caller.send(calls.put_deployment(name, spec))
        return self.wait(deployment, timeout=timeout) if wait else deployment

    def rollback(self, name: str, *, wait: bool = True, timeout: float | None = None) -> Deployment:
        """Serve again what was ready here before. Raises like `deploy`."""
        deployment = self._caller.send(calls.rollback_deployment(name))
        return self.wait(deployment, timeout=timeout) if wait else deployment

    def wait(self, deployment: str | Deployment, *, timeout: float | None = None) -> Deployment:
        """Wait until a deployment serves what was asked for last. Raises like `deploy`.

        Passed as `deploy` returned it, what that call asked for is waited for.
        """
        name = deployment if isinstance(deployment, str) else deployment.name
        generation = None if isinstance(deployment, str) else deployment.desired.generation
        patience = Patience(name, timeout)
        for seen in self._caller.updates(calls.get_deployment(name), patience):
            outcome = deployment_outcome(seen, generation)
            if outcome in ("ready", "stopped"):
                return seen
            if outcome == "superseded":
                message = f"{name} was asked for something else before it served this"
                raise DeploymentFailed(message, deployment=seen)
            if outcome is not None:
                raise deployment_failed(seen)
        raise AssertionError("updates never end")

    def list(self, *, after: str | None = None) -> Pages[Deployment]:
        """Iterate over deployments, by name, without their histories."""
        return Pages(
            lambda last: self._caller.send(calls.list_deployments(limit=PAGE, after=last or after))
        )

    def get(self, name: str) -> Deployment:
        """Return a deployment as it is now, with its history."""
        return self._caller.send(calls.get_deployment(name))

    def delete(self, name: str) -> Deployment:
        """Stop serving under a name; its history stays."""
        return self._caller.send(calls.delete_deployment(name))

    def devices(self) -> Sequence[Device]:
        """Return the devices that serve, and which deployments hold how much of their memory."""
        return self._caller.send(calls.list_devices()).data


class Keys:
    """API keys: `client.keys`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, after: str | None = None) -> Pages[Key]:
        """Iterate over the keys, newest first; their secrets are not among what is shown."""
        return Pages(
            lambda last: self._caller.send(calls.list_keys(limit=PAGE, after=last or after))
        )

    def create(
        self, name: str, *, scope: Scope = "predict", expires_in_days: int | None = None
    ) -> NewKey:
        """Make a key; its secret is shown here and never again."""
        spec = KeySpec(name=name, scope=scope, expires_in_days=expires_in_days)
        return self._caller.send(calls.create_key(spec))

    def delete(self, key: str | Key) -> None:
        """Delete a key; it is refused everywhere within a second."""
        self._caller.send(calls.delete_key(id_of(key)))


def _both(
    first: Callable[[Shown], None], second: Callable[[Shown], None] | None
) -> Callable[[Shown], None]:
    def call(shown: Shown) -> None:
        first(shown)
        if second is not None:
            second(shown)

    return call
