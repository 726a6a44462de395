"""Inputs: what a person passes to a method as the structs of the contract."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tunery.errors import InvalidArgument, TuneryError
from tunery.types import (
    Abstain,
    Checkpoints,
    Columns,
    Dataset,
    DatasetSpec,
    DeployStep,
    Evaluation,
    File,
    FinetuneSpec,
    Gate,
    Hyperparameters,
    Job,
    Key,
    LabelIssue,
    ModelVersion,
    Policies,
    RecipeChoice,
    RowLabel,
    SplitFiles,
    SplitSpec,
    Task,
    Then,
    Transform,
    TransformOp,
    VersionSpec,
)

S = TypeVar("S")
_RELABEL_ROWS = 10_000  # that one transform takes
_FILE_ID = re.compile(r"file_[0-9A-HJKMNP-TV-Z]{26}")


def id_of(resource: str | Dataset | Evaluation | File | Job | Key) -> str:
    """Return the id of a resource, which may be given as its id.

    Raises:
        InvalidArgument: it is neither.
    """
    found = resource if isinstance(resource, str) else getattr(resource, "id", None)
    if not isinstance(found, str):
        raise InvalidArgument(f"{type(resource).__name__} is no id and nothing that has one")
    return found


def target_of(target: str | ModelVersion) -> str:
    """Return a version, or the id of a checkpoint. Raises like `version_of`."""
    if isinstance(target, str) and target.startswith("ckpt_") and "/" not in target:
        return target
    return version_of(target)


def version_of(version: str | ModelVersion) -> str:
    """Return a version such as `intent/3`.

    Raises:
        InvalidArgument: it is none.
    """
    if isinstance(version, ModelVersion):
        return version.version
    if "/" not in version:
        raise InvalidArgument(f"{version!r} is no version; write name/number, such as {version}/1")
    return version


def the_version(job: Job) -> str:
    """Return the version that a succeeded fine-tune has registered."""
    if job.result is None or job.result.version is None:
        raise TuneryError(f"{job.id} has registered no version")
    return job.result.version


def is_file_id(source: object) -> bool:
    """Return whether a source is the id of an uploaded file, and not a path."""
    return isinstance(source, str) and _FILE_ID.fullmatch(source) is not None


def dataset_spec(
    name: str,
    files: Mapping[str, str],
    *,
    task: Task,
    columns: Columns | None,
    split: SplitSpec | None,
    policies: Policies | None,
) -> DatasetSpec:
    """Return the spec of a dataset from file ids by split; the split `all` is shared out."""
    given = dict(files)
    whole = given.pop("all", None)
    return DatasetSpec(
        name=name,
        task=task,
        file=whole,
        files=SplitFiles(**given) if given else None,
        columns=columns,
        split=split or SplitSpec(),
        policies=policies or Policies(),
    )


def version_spec(
    transforms: Sequence[Transform | TransformOp], policies: Policies | None
) -> VersionSpec:
    """Return the spec of a transformed version; what needs no more than its name is given by it."""
    steps = [each if isinstance(each, Transform) else Transform(op=each) for each in transforms]
    return VersionSpec(transforms=steps, policies=policies)


def relabelling(rows: Iterable[LabelIssue | RowLabel]) -> list[Transform]:
    """Return the transforms that give rows their labels, those of an issue its suggested one.

    Raises:
        InvalidArgument: there are none.
    """
    labels = [row.correction if isinstance(row, LabelIssue) else row for row in rows]
    if not labels:
        raise InvalidArgument("there are no rows to relabel")
    return [
        Transform(op="relabel", rows=labels[start : start + _RELABEL_ROWS])
        for start in range(0, len(labels), _RELABEL_ROWS)
    ]


def finetune_spec(
    dataset: str | Dataset,
    *,
    model: str,
    base_model: str,
    recipe: RecipeChoice,
    hyperparameters: Hyperparameters | None,
    checkpoints: Checkpoints | None,
    priority: int,
    evaluate: bool,
    deploy: str | None,
    gate: Gate | None,
    metadata: Mapping[str, str] | None,
    primary_metric: str | None = None,
    abstain: Abstain | None = None,
    dry_run: bool = False,
) -> FinetuneSpec:
    """Return the spec of a fine-tune.

    Raises:
        InvalidArgument: a gate, and nothing that is to be deployed.
    """
    if gate is not None and deploy is None:
        raise InvalidArgument("a gate is of a deployment: pass deploy, too")
    return FinetuneSpec(
        dataset=id_of(dataset),
        model=model,
        base_model=base_model,
        recipe=recipe,
        primary_metric=primary_metric,
        hyperparameters=hyperparameters or Hyperparameters(),
        checkpoints=checkpoints or Checkpoints(),
        priority=priority,
        then=Then(evaluate=evaluate, deploy=DeployStep(name=deploy, gate=gate) if deploy else None),
        metadata=dict(metadata or {}),
        abstain=abstain,
        dry_run=dry_run,
    )


def the_sources(
    file: S | None, train: S | None, validation: S | None, test: S | None
) -> dict[str, S]:
    """Return what was given for each split.

    Raises:
        InvalidArgument: neither one file, nor one per split.
    """
    splits = {"train": train, "validation": validation, "test": test}
    given = {split: source for split, source in splits.items() if source is not None}
    if file is not None and not given:
        return {"all": file}
    if file is None and {"train", "test"} <= set(given):
        return given
    raise InvalidArgument("give one file, or train and test (and validation)")
