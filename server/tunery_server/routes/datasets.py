"""Datasets: what is registered here is ingested by a job."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from typing import Any, BinaryIO, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import (
    SPLIT_COLUMNS,
    Dataset,
    DatasetSpec,
    Page,
    Report,
    encoding_hint,
    encoding_of,
)
from tunery_server.answers import Wait, answer, from_bytes, watched
from tunery_server.db.columns import now
from tunery_server.db.queries import datasets, evaluations, files, jobs, label_issues
from tunery_server.idempotency import Created, create
from tunery_server.ids import is_id, new_id
from tunery_server.pagination import After, Filter, Limit, check_after
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request

REPORT, FINDINGS = "report.json", "findings.ndjson"
FINDINGS_TYPE = "application/x-ndjson"
_CHUNK_BYTES = 2**18
_TOLERANCE = 1e-6  # of the sum of the shares


@post("/datasets", status_code=202, operation_id="create_dataset")
async def register(request: Request, data: JSONBody[DatasetSpec]) -> Response[Dataset]:
    """Register a dataset; the same name again is the next version."""
    _check_split(data)
    _check_columns(data)
    _check_encoding(data.policies.encoding)
    file_ids = _file_ids(data)

    async def make(connection: AsyncConnection) -> Created[Dataset]:
        for file_id in file_ids:
            if not is_id(file_id, "file") or not await files.get(
                connection, request.project, file_id
            ):
                raise Refusal("not-found", f"there is no file {quote(file_id)}")
        folded = data.name.casefold()[:256]
        parent = await datasets.newest(connection, request.project, folded)
        if parent is not None and parent.name != data.name:
            raise Refusal("name-taken", f"{quote(parent.name)} exists")
        return await to_be_made(
            connection,
            request.project,
            msgspec.to_builtins(data),
            name=data.name,
            name_folded=folded,
            version=parent.version + 1 if parent else 1,
            parent=parent.id if parent else None,
            task=data.task,
            spec=data,
        )

    return await create(request, Dataset, make)


@get("/datasets", operation_id="list_datasets")
async def list_all(
    request: Request,
    limit: Limit = 20,
    after: After = None,
    status: FromQuery[Literal["validating", "ready", "rejected"] | None] = None,
    name: Filter = None,
) -> Response[Page[Dataset]]:
    """List datasets, newest first."""
    check_after(after, "ds")
    async with request.services.database.read() as connection:
        page = await datasets.list_page(
            connection, request.project, limit=limit, after=after, status=status, name=name
        )
    return answer(page)


@get("/datasets/{dataset_id:str}", operation_id="get_dataset")
async def show(request: Request, dataset_id: FromPath[str], wait: Wait = 0) -> Response[Dataset]:
    """Return a dataset; with `wait` and If-None-Match, at its next change."""

    async def fetch() -> Dataset:
        return await _find(request, dataset_id)

    return await watched(request, dataset_id, fetch, wait)


@delete("/datasets/{dataset_id:str}", operation_id="delete_dataset")
async def remove(request: Request, dataset_id: FromPath[str]) -> None:
    """Delete a dataset, its label issues, its rows in evaluations; models trained on it stay."""
    await _find(request, dataset_id)
    async with request.services.database.write() as connection:
        row = await datasets.row_of(connection, request.project, dataset_id)
        if row is not None and row.status == "validating":
            raise Refusal("dataset-in-use", f"{dataset_id} is being made; cancel {row.job}")
        if await jobs.uses_dataset(connection, dataset_id):
            raise Refusal("dataset-in-use", f"a job that has not ended needs {dataset_id}")
        if row is not None and await datasets.may_be_read(connection, row):
            raise Refusal("dataset-in-use", f"a version after {dataset_id} is being made")
        artifact = await datasets.remove(connection, request.project, dataset_id)
        gone = await evaluations.forget_rows(connection, dataset_id)
        gone += await label_issues.of_dataset(connection, dataset_id)
    for each in [*gone, *([] if artifact is None else [artifact])]:
        await request.services.artifacts.remove(each)


@get("/datasets/{dataset_id:str}/report", operation_id="get_dataset_report")
async def report(request: Request, dataset_id: FromPath[str]) -> Response[Report] | Stream:
    """Return everything that the ingest found, also where it rejected the dataset.

    With `Accept: application/x-ndjson`, every finding as a line, and every row that was left out.
    """
    row = await row_or_404(request, dataset_id)
    if row.status == "validating":
        raise Refusal("dataset-not-ready", f"{dataset_id} is being validated by {row.job}")
    if row.artifact is None:
        raise Refusal("not-found", f"{dataset_id} has no report; see its error")
    try:
        folder = await request.services.artifacts.fetch(row.artifact)
        if FINDINGS_TYPE in request.headers.get("accept", ""):
            # Opened before the answer begins: what is deleted afterwards is still read.
            findings = await asyncio.to_thread((folder / FINDINGS).open, "rb")
            return Stream(_chunks(findings), media_type=FINDINGS_TYPE)
        return from_bytes(await asyncio.to_thread((folder / REPORT).read_bytes), Report)
    except FileNotFoundError:
        await row_or_404(request, dataset_id)  # it may have been deleted meanwhile
        raise


async def _chunks(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk


async def to_be_made(
    connection: AsyncConnection, project: str, asked: dict[str, Any], **values: Any
) -> Created[Dataset]:
    """Store a dataset and the job that makes it; `asked` is what the job shows as its spec."""
    dataset_id, job_id = new_id("ds"), new_id("job")
    dataset = await datasets.add(
        connection, id=dataset_id, project=project, job=job_id, created_at=now(), **values
    )
    await jobs.add(
        connection,
        job_id=job_id,
        project=project,
        kind="ingest",
        spec=asked,
        dataset=dataset_id,
    )
    return Created(content=dataset, status=202, location=f"/datasets/{dataset_id}")


async def row_or_404(request: Request, dataset_id: str) -> Row[tuple[object, ...]]:
    """Return a dataset's row.

    Raises:
        Refusal: dataset-not-found.
    """
    if is_id(dataset_id, "ds"):
        async with request.services.database.read() as connection:
            row = await datasets.row_of(connection, request.project, dataset_id)
        if row is not None:
            return row
    raise unknown(dataset_id)


def unknown(dataset_id: str) -> Refusal:
    """Return the refusal of an id that names nothing."""
    return Refusal("dataset-not-found", f"there is no dataset {quote(dataset_id)}")


async def _find(request: Request, dataset_id: str) -> Dataset:
    if is_id(dataset_id, "ds"):
        async with request.services.database.read() as connection:
            dataset = await datasets.get(connection, request.project, dataset_id)
        if dataset is not None:
            return dataset
    raise unknown(dataset_id)


def _file_ids(spec: DatasetSpec) -> list[str]:
    if (spec.file is None) == (spec.files is None):
        message = "give exactly one of file and files"
        raise Refusal.at("schema-violation", "/file", message)
    if spec.files is None:
        return [spec.file or ""]
    parts = (spec.files.train, spec.files.test, spec.files.validation)
    return [part for part in parts if part is not None]


def _check_split(spec: DatasetSpec) -> None:
    split = spec.split
    total = split.train + split.validation + split.test
    if abs(total - 1.0) > _TOLERANCE:
        raise Refusal("invalid-split", f"the shares sum to {total:g}")
    if min(split.train, split.test) <= 0 or split.validation < 0:
        raise Refusal("invalid-split", "train and test must have a share, and none is below 0")
    named = [name for name in SPLIT_COLUMNS if getattr(split, name) is not None]
    if len(named) > 1:
        raise Refusal("invalid-split", f"{named[0]} and {named[1]} exclude each other")
    if spec.files is not None and named and named != ["group_by"]:
        message = f"{named[0]} splits a single file; with one file per split, leave it out"
        raise Refusal("invalid-split", message)


def _check_columns(spec: DatasetSpec) -> None:
    columns = spec.columns
    if columns is None:
        return
    if columns.label_separator is not None and spec.task != "multi_label":
        message = f"label_separator is for multi_label, not for {spec.task}"
        raise Refusal.at("schema-violation", "/columns/label_separator", message)
    named = {"text": columns.text, "label": columns.label, "text_pair": columns.text_pair}
    for one, other in itertools.combinations(named, 2):
        if named[one] == named[other]:
            message = f"{one} and {other} are both {quote(named[one] or '')}; name two columns"
            raise Refusal.at("schema-violation", "/columns", message)


def _check_encoding(encoding: str) -> None:
    if encoding == "auto" or encoding_of(encoding) is not None:
        return
    message = f"{quote(encoding)} is no text encoding that is read"
    hint = encoding_hint(encoding)
    raise Refusal.at("schema-violation", "/policies/encoding", message, hint=hint)


HANDLERS = [register, list_all, show, remove, report]
