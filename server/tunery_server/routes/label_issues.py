"""Label issues: rows whose label is likely wrong, looked for by a job, read as its list."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import SPLITS, Job, LabelIssuePage, LabelIssuesSpec, Split
from tunery_server.answers import answer
from tunery_server.db.queries import datasets, jobs, label_issues
from tunery_server.idempotency import Created, create
from tunery_server.ids import is_id, new_id
from tunery_server.pagination import After, Limit, offset_of
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.bases import find_base
from tunery_server.routes.datasets import row_or_404, unknown
from tunery_server.routes.finetune import check_queue
from tunery_trainer.protocol.events import LABEL_ISSUES
from tunery_trainer.protocol.wire import LabelIssuesRead, ReadLabelIssues

TASK = "text_classification"  # a row of another has several labels, or none


@post(
    "/datasets/{dataset_id:str}/label-issues",
    status_code=202,
    operation_id="find_label_issues",
)
async def find(
    request: Request, dataset_id: FromPath[str], data: JSONBody[LabelIssuesSpec]
) -> Response[Job]:
    """Queue a search for rows whose label is likely wrong; the dataset stays as it is."""
    base = await find_base(request, data.base_model, pointer="/base_model")
    if base.is_version:
        message = f"{quote(data.base_model)} has learned labels, wrong ones too; name a base model"
        raise Refusal.at("schema-violation", "/base_model", message)
    if not is_id(dataset_id, "ds"):
        raise unknown(dataset_id)

    async def make(connection: AsyncConnection) -> Created[Job]:
        dataset = await datasets.row_of(connection, request.project, dataset_id)
        if dataset is None:
            raise unknown(dataset_id)
        _check(dataset, data)
        await check_queue(connection, request.project)
        job = await jobs.add(
            connection,
            job_id=new_id("job"),
            project=request.project,
            kind=label_issues.KIND,
            spec={"dataset": dataset_id, **msgspec.to_builtins(data)},
            dataset=dataset_id,
        )
        return Created(content=job, status=202, location=f"/jobs/{job.id}")

    return await create(request, Job, make)


@get("/datasets/{dataset_id:str}/label-issues", operation_id="list_label_issues")
async def list_all(
    request: Request,
    dataset_id: FromPath[str],
    split: FromQuery[Split | None] = None,
    limit: Limit = 20,
    after: After = None,
) -> Response[LabelIssuePage]:
    """Return rows whose label is likely wrong, the worst first, as the newest job found them."""
    offset = offset_of(after)
    await row_or_404(request, dataset_id)
    async with request.services.database.read() as connection:
        job = await label_issues.newest(connection, dataset_id)
    if job is None:
        raise Refusal("label-issues-not-found", f"no job has found those of {dataset_id}")
    folder = await request.services.artifacts.fetch(label_issues.artifact_of(job.id, job.attempt))

    def ask(number: int) -> ReadLabelIssues:
        path = str(folder / LABEL_ISSUES)
        return ReadLabelIssues(id=number, path=path, split=split, offset=offset, limit=limit)

    reply = await request.services.engines.ask_reader(LabelIssuesRead, ask)
    last_id = str(offset + len(reply.issues)) if reply.issues else None
    return answer(
        LabelIssuePage(
            data=reply.issues,
            has_more=reply.has_more,
            last_id=last_id,
            total=reply.total,
            job=job.id,
        )
    )


def _check(dataset: Row[Any], spec: LabelIssuesSpec) -> None:
    if dataset.status != "ready":
        raise Refusal("dataset-not-ready", f"{dataset.id} is {dataset.status}")
    if dataset.task != TASK:
        message = f"label issues are those of {TASK}; {dataset.id} is for {dataset.task}"
        raise Refusal("task-mismatch", message)
    splits = spec.splits or SPLITS
    if not any(dataset.splits.get(split) for split in splits):
        raise Refusal("invalid-split", f"{dataset.id} has no rows in {', '.join(splits)}")


HANDLERS = [find, list_all]
