"""Specs: all that a child is told, as one JSON file whose path is its argument.

A child reads what its spec names and writes below its `work_dir`, nothing else (see confine.py).
"""

from typing import Annotated

import msgspec

from tunery.types import (
    Abstain,
    Checkpoints,
    Columns,
    Hyperparameters,
    Policies,
    RecipeChoice,
    Resolved,
    Split,
    SplitSpec,
    Task,
    Transform,
)


class Spec(msgspec.Struct, kw_only=True, frozen=True, tag_field="kind"):
    """What every child is told. `work_dir` exists and is the child's own."""

    work_dir: str


class SourceFile(msgspec.Struct, kw_only=True, frozen=True):
    """One uploaded file; `split` is null where the file holds all rows."""

    path: str
    media_type: str
    split: Split | None = None


class IngestRun(Spec, kw_only=True, frozen=True, tag="ingest"):
    """Turns uploaded files into a dataset: `work_dir/dataset/{train,validation,test}.parquet`.

    With transforms the files are those of the dataset that is transformed, one per split, as
    Parquet with columns line, text and label. `parent_dir` is the directory of the dataset whose
    rows keep their split: the one that is transformed, or the newest ready one of the name.
    """

    job: str
    dataset: str
    task: str
    files: list[SourceFile]
    columns: Columns | None
    split: SplitSpec
    policies: Policies
    memory_bytes: int  # hard limit of the child's address space
    base_model: str | None = None  # whose tokenizer measures the texts
    tokenizer: str | None = None  # the path of its tokenizer.json
    max_positions: int = 512  # that it has
    transforms: list[Transform] = []
    parent_dir: str | None = None


class FinetuneRun(Spec, kw_only=True, frozen=True, tag="finetune"):
    """Trains; names train and validation files only, never the test split.

    `resolved` is null on attempt 1; later attempts get what attempt 1 resolved, so that precision,
    threads and micro-batch stay what they were.
    """

    job: str
    attempt: int
    task: Task
    base_model: str
    base_model_dir: str  # of scratch-mini any, such as the cache, in which the trainer makes it
    parent_sha256: str | None = None  # of the verified manifest, where base_model is a version
    train: str
    validation: str
    validation_carved: bool = False  # by tunery, out of the rows that were meant for training
    labels: list[str]
    dataset_fingerprint: str
    recipe: RecipeChoice = "auto"
    primary_metric: str | None = None
    hyperparameters: Hyperparameters
    checkpoints: Checkpoints
    abstain: Abstain | None = None
    device: str  # "cpu" or "cuda:0"
    threads: int
    cache_dir: str  # tokenised rows of this dataset, shared by its fine-tunes
    dry_run: bool = False  # on few rows, and nothing is published
    resume_from: str | None = None  # a checkpoint's directory
    resolved: dict[str, Resolved] | None = None


class EvaluateRun(Spec, kw_only=True, frozen=True, tag="evaluate"):
    """Puts the rows of one split through the runtime that serves.

    `train` and `validation` are of the dataset that the model was trained on, null where it was
    deleted; `validation` is null, too, where weights were fitted to it. `lineage` are the files of
    all rows that its weights have seen, by dataset: its own, that of the version which it was made
    from, and so on; `lost` are those that were deleted.
    """

    job: str
    model_dir: str
    manifest_sha256: str
    rows: str  # Parquet
    runtime: str  # "auto", or a runtime's name
    precision: str = "fp32"
    device: str
    threads: int
    train: str | None = None
    validation: str | None = None
    primary_metric: str | None = None  # null is the one that the model was chosen by
    untrained: dict[str, float] = {}  # figures of the base model on validation rows, by metric
    report: str | None = None  # of the dataset that is evaluated on
    lineage: dict[str, list[str]] = {}
    lost: list[str] = []


class LabelIssuesRun(Spec, kw_only=True, frozen=True, tag="label-issues"):
    """Looks for rows of a dataset whose label is likely wrong.

    `base_model_dir` is null where texts are told apart by their characters alone.
    """

    job: str
    base_model: str
    base_model_dir: str | None
    rows: dict[Split, str]  # Parquet, by split
    labels: list[str]
    folds: int
    seed: int
    threads: int


class EngineRun(Spec, kw_only=True, frozen=True, tag="engine"):
    """Serves one version on a Unix socket; what to load comes over the wire."""

    socket: str
    device: str
    threads: int
    max_queue_tokens: int  # beyond this, requests are refused as overloaded
    max_batch_tokens: int  # of one forward pass, padding left out
    reads: list[str]  # directories that a Load may name
    niced: bool = False  # while it loads: nobody waits for it, and others serve


class ReaderRun(Spec, kw_only=True, frozen=True, tag="reader"):
    """Answers what needs a tokenizer or a look into a dataset, on a Unix socket."""

    socket: str
    base_models: dict[str, str]  # directory by id
    reads: list[str]  # directories of datasets and of versions


class CheckRun(msgspec.Struct, kw_only=True, frozen=True, tag_field="kind", tag="check"):
    """Asks what an ingest would say of files that lie on this machine; null means the default.

    No spec of a child: `check` makes the ingest's from it, with a work directory of its own.
    """

    files: Annotated[list[SourceFile], msgspec.Meta(min_length=1)]
    task: Task = "text_classification"
    columns: Columns | None = None
    split: SplitSpec | None = None
    policies: Policies | None = None


AnyRun = IngestRun | FinetuneRun | EvaluateRun | LabelIssuesRun | EngineRun | ReaderRun
