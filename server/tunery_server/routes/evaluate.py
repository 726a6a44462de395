"""Evaluations: asked for as a job, read as measured facts."""

import functools
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    METRIC_PATTERN,
    ErrorPage,
    ErrorSort,
    EvaluateSpec,
    Evaluation,
    Job,
    Page,
    Split,
)
from tunery_server import leaderboard
from tunery_server.answers import answer
from tunery_server.db.queries import datasets, evaluations, jobs, targets
from tunery_server.db.queries.deployments import target_of
from tunery_server.idempotency import Created, create
from tunery_server.ids import is_id, new_id
from tunery_server.pagination import MAX_LIMIT, After, Filter, Limit, check_after, offset_of
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.datasets import unknown
from tunery_server.routes.finetune import check_metric, check_queue
from tunery_server.routes.targets import find_target, one_target
from tunery_trainer.protocol.events import EVALUATED_ROWS
from tunery_trainer.protocol.wire import ErrorsRead, ReadErrors


@post("/evaluate", status_code=202, operation_id="evaluate")
async def start(request: Request, data: JSONBody[EvaluateSpec]) -> Response[Job]:
    """Queue an evaluation through the runtime that would serve the version."""
    one_target(data.version, data.checkpoint)
    if data.split == "train" and not data.allow_train:
        raise Refusal("split-not-held-out", "the model was trained on split train")
    if not is_id(data.dataset, "ds"):
        raise unknown(data.dataset)

    async def make(connection: AsyncConnection) -> Created[Job]:
        await find_target(connection, request.project, data.version, data.checkpoint)
        dataset = await datasets.row_of(connection, request.project, data.dataset)
        if dataset is None:
            raise unknown(data.dataset)
        if dataset.status != "ready":
            raise Refusal("dataset-not-ready", f"{data.dataset} is {dataset.status}")
        await _check_held_out(connection, request.project, data)
        await _check_kind(connection, request.project, data, dataset)
        await _check_labels(connection, request.project, data, dataset)
        if data.primary_metric is not None:
            known = await targets.labels_of(connection, request.project, target_of(data))
            labels = known or dataset.labels or []
            check_metric(data.primary_metric, dataset.task, labels, pointer="/primary_metric")
        await check_queue(connection, request.project)
        job = await jobs.add(
            connection,
            job_id=new_id("job"),
            project=request.project,
            kind="evaluate",
            spec=msgspec.to_builtins(data),
            dataset=data.dataset,
        )
        return Created(content=job, status=202, location=f"/jobs/{job.id}")

    return await create(request, Job, make)


@get("/evaluations", operation_id="list_evaluations")
async def list_all(
    request: Request,
    limit: Limit = 20,
    after: After = None,
    dataset: Filter = None,
    split: FromQuery[Split | None] = None,
    model: Filter = None,
    version: Filter = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            pattern=f"^-?{METRIC_PATTERN}$",
            max_length=300,
            description="A metric, the least first, or with - before it the largest; evaluations "
            "that have no such figure are left out. Else the newest come first.",
        ),
    ] = None,
) -> Response[Page[Evaluation]] | Response[str]:
    """List evaluations, newest first or by a metric.

    With `Accept: text/csv` all of them, whatever `limit` and `after`: a line each, and a column
    per metric with its interval.
    """
    check_after(after, "eval")
    wanted = evaluations.Wanted(dataset=dataset, split=split, model=model, version=version)
    metric, falling = (sort or "").removeprefix("-"), (sort or "").startswith("-")

    async def page(limit: int, after: str | None) -> Page[Evaluation]:
        async with request.services.database.read() as connection:
            if not metric:
                return await evaluations.list_page(
                    connection, request.project, wanted, limit=limit, after=after
                )
            return await evaluations.ranked_page(
                connection,
                request.project,
                wanted,
                metric,
                falling=falling,
                limit=limit,
                after=after,
            )

    if leaderboard.MEDIA_TYPE in request.headers.get("accept", ""):
        text = await leaderboard.as_csv(functools.partial(page, MAX_LIMIT))
        return Response(text, media_type=f"{leaderboard.MEDIA_TYPE}; header=present")
    return answer(await page(limit, after))


@get("/evaluations/{evaluation_id:str}", operation_id="get_evaluation")
async def show(request: Request, evaluation_id: FromPath[str]) -> Response[Evaluation]:
    """Return an evaluation."""
    return answer((await row_or_404(request, evaluation_id)).evaluation)


@get("/evaluations/{evaluation_id:str}/errors", operation_id="list_errors")
async def errors(
    request: Request,
    evaluation_id: FromPath[str],
    true: Annotated[
        str | None, QueryParameter(max_length=8192, description="Only rows that have this label.")
    ] = None,
    predicted: Annotated[
        str | None, QueryParameter(max_length=8192, description="Only rows that were given it.")
    ] = None,
    right: FromQuery[bool] = False,
    sort: FromQuery[ErrorSort] = "row",
    limit: Limit = 20,
    after: After = None,
) -> Response[ErrorPage]:
    """Return the rows that were answered wrong; with `right`, the others, too."""
    offset = offset_of(after)
    row = await row_or_404(request, evaluation_id)
    if row.artifact is None:
        raise Refusal("evaluation-not-found", f"the rows of {evaluation_id} were deleted")
    folder = await request.services.artifacts.fetch(row.artifact)

    def ask(number: int) -> ReadErrors:
        return ReadErrors(
            id=number,
            path=str(folder / EVALUATED_ROWS),
            true=true,
            predicted=predicted,
            right=right,
            sort=sort,
            offset=offset,
            limit=limit,
        )

    reply = await request.services.engines.ask_reader(ErrorsRead, ask)
    last_id = str(offset + len(reply.rows)) if reply.rows else None
    return answer(ErrorPage(data=reply.rows, has_more=reply.has_more, last_id=last_id))


async def row_or_404(request: Request, evaluation_id: str) -> Row[Any]:
    """Return the row of an evaluation of the request's project.

    Raises:
        Refusal: evaluation-not-found.
    """
    if is_id(evaluation_id, "eval"):
        async with request.services.database.read() as connection:
            row = await evaluations.row_of(connection, request.project, evaluation_id)
        if row is not None:
            return row
    raise Refusal("evaluation-not-found", f"there is no evaluation {quote(evaluation_id)}")


async def _check_held_out(connection: AsyncConnection, project: str, spec: EvaluateSpec) -> None:
    """Refuse the validation rows of a job that has trained on them, too."""
    if spec.split != "validation" or spec.allow_train:
        return
    trained = await _training_job(connection, project, spec)
    if trained is None or trained.spec.get("dataset") != spec.dataset:
        return
    for name in ("train_on_validation", "refit"):
        also = (trained.resolved or {}).get(name)
        if also is not None and also.value:
            message = f"the model was trained on split validation, too ({name})"
            raise Refusal("split-not-held-out", message)


async def _training_job(
    connection: AsyncConnection, project: str, spec: EvaluateSpec
) -> Job | None:
    row = await targets.row_of(connection, project, target_of(spec))
    return None if row is None else await jobs.get(connection, project, row.job)


async def _check_kind(
    connection: AsyncConnection, project: str, spec: EvaluateSpec, dataset: Row[Any]
) -> None:
    """Refuse rows of another task, or pairs for a model of single texts and the reverse.

    Where the dataset that the model was trained on is gone, the job judges.
    """
    trained = await _training_job(connection, project, spec)
    if trained is None:
        return
    own = await datasets.get(connection, project, str(trained.spec.get("dataset")))
    if own is None or own.columns is None:
        return
    if own.task != dataset.task:
        message = f"the model is for {own.task}, the dataset for {dataset.task}"
        raise Refusal("task-mismatch", message)
    reads, holds = own.columns.text_pair is not None, dataset.columns.text_pair is not None
    if reads != holds:
        kinds = ("pairs", "single texts") if reads else ("single texts", "pairs")
        message = "the model reads {}, the rows are {}".format(*kinds)
        raise Refusal("pair-mismatch", message)


async def _check_labels(
    connection: AsyncConnection, project: str, spec: EvaluateSpec, dataset: Row[Any]
) -> None:
    labels = await targets.labels_of(connection, project, target_of(spec))
    if labels is None:
        return
    strange = sorted(set(dataset.labels or []) - set(labels))
    if strange:
        shown = ", ".join(quote(label) for label in strange[:5])
        raise Refusal("label-mismatch", f"the model does not know {len(strange)}: {shown}")


HANDLERS = [start, list_all, show, errors]
