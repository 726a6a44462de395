"""Datasets: `client.datasets`."""

from collections.abc import Iterable, Sequence

from tunery import _calls as calls
from tunery._callers import PAGE, Caller, Pages
from tunery._inputs import dataset_spec, id_of, is_file_id, relabelling, the_sources, version_spec
from tunery._resources.files import Files
from tunery._resources.jobs import Job, Jobs
from tunery._uploads import OnProgress, Source, stem_of
from tunery._watching import Patience
from tunery.errors import TuneryError, dataset_rejected
from tunery.types import (
    Columns,
    Dataset,
    DatasetDiff,
    File,
    LabelIssue,
    LabelIssuesSpec,
    ListedFinding,
    Policies,
    Preview,
    Report,
    Row,
    RowLabel,
    Split,
    SplitSpec,
    Task,
    Transform,
    TransformOp,
)


class Datasets:
    """Datasets: `client.datasets`."""

    def __init__(self, caller: Caller, files: Files, jobs: Jobs) -> None:
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
