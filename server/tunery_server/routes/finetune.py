"""Fine-tunes: everything that can be judged before a device is free is judged here."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, post
from litestar.params import JSONBody
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Estimate, FieldError, FinetuneSpec, Gate, Job, RecipeChoice, Task
from tunery_server import disk
from tunery_server.answers import answer
from tunery_server.db.queries import datasets, deployments, jobs
from tunery_server.durations import measured_by, seconds_of
from tunery_server.idempotency import Created, create
from tunery_server.ids import is_id, new_id
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.bases import Base, find_base
from tunery_server.routes.datasets import unknown
from tunery_server.services import Services
from tunery_trainer.protocol.applicability import unfit, unfit_abstention
from tunery_trainer.protocol.metrics import wrong_with
from tunery_trainer.protocol.recipes import SCRATCH_BASE, SCRATCH_BYTES
from tunery_trainer.protocol.wire import Forecasted, ForecastFinetune

MAX_QUEUED = 50  # jobs of one project
MEASURED_JOBS = 100  # that a forecast looks at
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


@post("/finetune", status_code=202, operation_id="finetune")
async def start(request: Request, data: JSONBody[FinetuneSpec]) -> Response[Job]:
    """Queue a fine-tune; on success it registers the next version of its model."""
    base = await _base_of(request, data)
    if not is_id(data.dataset, "ds"):
        raise unknown(data.dataset)
    await asyncio.to_thread(_check_disk, request.services, data, base)

    async def make(connection: AsyncConnection) -> Created[Job]:
        dataset = await datasets.row_of(connection, request.project, data.dataset)
        _check_dataset(data, base, dataset)
        await check_queue(connection, request.project)
        job = await jobs.add(
            connection,
            job_id=new_id("job"),
            project=request.project,
            kind="finetune",
            spec=msgspec.to_builtins(data),
            dataset=data.dataset,
            priority=data.priority,
        )
        return Created(content=job, status=202, location=f"/jobs/{job.id}")

    return await create(request, Job, make)


@post("/finetune/estimate", status_code=200, operation_id="estimate_finetune")
async def estimate(request: Request, data: JSONBody[FinetuneSpec]) -> Response[Estimate]:
    """Forecast what a fine-tune would take; nothing is queued.

    Refuses what POST /finetune refuses, but for a full queue or disk, and forecasts the whole run
    also where that is a dry one. The seconds rest on the most similar fine-tune that has succeeded
    here; they are null, with the reason, where none has.
    """
    base = await _base_of(request, data)
    if not is_id(data.dataset, "ds"):
        raise unknown(data.dataset)
    settings = request.services.settings
    async with request.services.database.read() as connection:
        dataset = await datasets.row_of(connection, request.project, data.dataset)
        _check_dataset(data, base, dataset)
        assert dataset is not None  # checked
        serving = await deployments.count(connection) > 0
        finished = await jobs.measured(connection, request.project, limit=MEASURED_JOBS)
        queue = await jobs.place(
            connection, priority=data.priority, slots=len(settings.device_slots)
        )
    folder = await request.services.artifacts.fetch(dataset.artifact)
    on_gpu = any(slot.startswith("cuda") for slot in settings.device_slots)
    device = "cuda" if on_gpu else "cpu"
    threads = settings.train_threads(serving=serving)

    def ask(number: int) -> ForecastFinetune:
        return ForecastFinetune(
            id=number,
            task=dataset.task,
            base_model=data.base_model,
            version_dir=base.version_dir,
            train=str(folder / "train.parquet"),
            validation=str(folder / "validation.parquet"),
            validation_carved=datasets.carves_validation(dataset.spec),
            labels=dataset.labels,
            recipe=data.recipe,
            hyperparameters=data.hyperparameters,
            checkpoints=data.checkpoints,
            abstain=data.abstain,
            device=device,
            threads=threads,
        )

    forecast = await request.services.engines.ask_reader(Forecasted, ask)
    found = measured_by(finished, lineage=base.lineage, device=device, resolved=forecast.resolved)
    why = f"no fine-tune of {data.base_model} on a {DEVICES[device]} has succeeded here; one does"
    return answer(
        Estimate(
            resolved=forecast.resolved,
            rows=forecast.rows,
            tokens=forecast.tokens,
            steps=forecast.steps,
            seconds=None if found is None else seconds_of(forecast, found[0], data.hyperparameters),
            measured=None if found is None else found[1],
            reason=why if found is None else None,
            memory_bytes=forecast.memory_bytes,
            disk_bytes=forecast.checkpoints_bytes + forecast.version_bytes,
            checkpoints=forecast.checkpoints,
            checkpoint_bytes=forecast.checkpoint_bytes,
            version_bytes=forecast.version_bytes,
            queue=queue,
        )
    )


async def check_queue(connection: AsyncConnection, project: str) -> None:
    """Refuse a job that would wait behind too many of the same project.

    Raises:
        Refusal: too-many-queued-jobs.
    """
    if await jobs.queued_count(connection, project) >= MAX_QUEUED:
        raise Refusal("too-many-queued-jobs", f"{MAX_QUEUED} jobs wait", retry_after=30)


async def _base_of(request: Request, spec: FinetuneSpec) -> Base:
    """Return what a fine-tune begins with, if what is asked of the fine-tune goes with it."""
    base = await find_base(request, spec.base_model, pointer="/base_model")
    if spec.recipe != "auto" and (spec.recipe == "scratch") != (spec.base_model == SCRATCH_BASE):
        raise _refusal(
            "schema-violation",
            "/recipe",
            f"scratch is the recipe of {SCRATCH_BASE}, and of no other base model; "
            f"{spec.recipe} does not go with {quote(spec.base_model)}",
        )
    asked = spec.hyperparameters
    positions = base.positions
    if asked.max_length != "auto" and positions is not None and asked.max_length > positions:
        raise _refusal(
            "max-length-exceeds-model",
            "/hyperparameters/max_length",
            f"{asked.max_length} tokens; {spec.base_model} takes {positions}",
        )
    on_cpu = all(slot == "cpu" for slot in request.services.settings.device_slots)
    if asked.precision == "fp16" and on_cpu:
        raise _refusal(
            "unsupported-precision", "/hyperparameters/precision", "a CPU does not train in fp16"
        )
    return base


def _check_disk(services: Services, spec: FinetuneSpec, base: Base) -> None:
    weights = SCRATCH_BYTES if base.directory is None else disk.weights_bytes(base.directory)
    needed = disk.finetune_bytes(weights, spec.checkpoints)
    budget = spec.resources.max_disk_gb
    if budget is not None and needed > budget * 1e9:
        raise _refusal(
            "disk-budget-exceeded",
            "/resources/max_disk_gb",
            f"{spec.base_model} takes up to {needed / 1e9:.2f} GB with these checkpoints",
        )
    if lacking := disk.shortage(services.settings.root, needed):
        raise Refusal("insufficient-storage", lacking)


def _check_dataset(spec: FinetuneSpec, base: Base, dataset: Row[Any] | None) -> None:
    if dataset is None:
        raise unknown(spec.dataset)
    if dataset.status != "ready":
        raise Refusal("dataset-not-ready", f"{spec.dataset} is {dataset.status}")
    recipe: RecipeChoice = spec.recipe
    if spec.base_model == SCRATCH_BASE:
        recipe = "scratch"
        if dataset.task != "text_classification":
            message = f"{spec.base_model} learns text_classification; the dataset is {dataset.task}"
            raise _refusal("task-mismatch", "/base_model", message)
    pairs = dataset.columns is not None and dataset.columns.text_pair is not None
    if pairs and SCRATCH_BASE in base.lineage:  # whose tokenizer can't part two texts
        message = f"{spec.base_model} reads single texts; the dataset holds pairs"
        raise _refusal("pair-mismatch", "/base_model", message)
    if spec.then.deploy is not None and spec.then.deploy.gate is not None:
        _check_gate(spec, spec.then.deploy.gate, dataset)
    _check_metrics(spec, dataset)
    errors = [
        FieldError(
            code="not-for-task", message=each.message, pointer=f"/hyperparameters/{each.name}"
        )
        for each in unfit(dataset.task, recipe, spec.hyperparameters)
    ]
    if errors:
        raise Refusal("not-for-task", errors[0].message, errors=errors)
    splits: dict[str, int] = dataset.splits or {}
    if spec.abstain is not None:
        held_out = splits.get("validation", 0)
        unmet = unfit_abstention(dataset.task, spec.abstain, held_out, spec.hyperparameters)
        if unmet is not None:
            raise _refusal(unmet.code, "/abstain", unmet.message)
    batch_size = spec.hyperparameters.batch_size
    rows = splits.get("train", 0)
    if batch_size != "auto" and batch_size > rows:
        raise _refusal(
            "batch-exceeds-dataset",
            "/hyperparameters/batch_size",
            f"{batch_size} examples a batch; the training split has {rows}",
        )


def _check_metrics(spec: FinetuneSpec, dataset: Row[Any]) -> None:
    """Refuse figures that the task has not, or of labels that the dataset has not."""
    stopping = spec.hyperparameters.early_stopping
    named = {
        "/primary_metric": spec.primary_metric,
        "/hyperparameters/early_stopping/metric": None if stopping is None else stopping.metric,
    }
    for pointer, name in named.items():
        if name is not None and name != "auto":
            check_metric(name, dataset.task, dataset.labels or [], pointer=pointer)


def check_metric(name: str, task: Task, labels: Sequence[str], *, pointer: str) -> None:
    """Refuse a name that is no figure of a task, or of none of its labels.

    Raises:
        Refusal: no-such-metric.
    """
    if (why := wrong_with(name, task, labels)) is not None:
        raise _refusal("no-such-metric", pointer, why)


def _check_gate(spec: FinetuneSpec, gate: Gate, dataset: Row[Any]) -> None:
    """Refuse a gate that the evaluation which follows can't answer."""
    if not spec.then.evaluate:
        message = "the gate waits for an evaluation: let then.evaluate be true"
        raise _refusal("schema-violation", "/then/evaluate", message)
    if (gate.dataset or spec.dataset, gate.split) != (spec.dataset, "test"):
        message = f"the evaluation that follows is on split test of {spec.dataset}"
        raise _refusal("schema-violation", "/then/deploy/gate", message)
    splits: dict[str, int] = dataset.splits or {}
    if not splits.get("test"):
        message = f"{spec.dataset} has no test rows, on which the gate could rest"
        raise _refusal("invalid-split", "/then/deploy/gate", message)


def _refusal(code: str, pointer: str, message: str) -> Refusal:
    return Refusal.at(code, pointer, message[:300])


HANDLERS = [start, estimate]
