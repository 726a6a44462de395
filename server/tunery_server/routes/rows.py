"""Rows of a dataset: as ingested, as a base model would see them, and what changed in them.

The reader opens Parquet and knows tokenizers; this process does neither.
"""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import FromPath, FromQuery, Parameter, QueryParameter
from sqlalchemy import Row as DatabaseRow

from tunery.types import DatasetDiff, Preview, RowPage, Split, TextPair
from tunery_server.answers import answer
from tunery_server.pagination import After, Limit, offset_of
from tunery_server.problems import Refusal
from tunery_server.requests import Request
from tunery_server.routes.bases import find_base
from tunery_server.routes.datasets import row_or_404
from tunery_trainer.protocol.wire import (
    DiffDatasets,
    Diffed,
    Previewed,
    PreviewTexts,
    ReadRows,
    RowsRead,
)

PREVIEW_ROWS = 20
DEFAULT_MAX_LENGTH = 128  # tokens


@get("/datasets/{dataset_id:str}/rows", operation_id="list_rows")
async def list_rows(
    request: Request,
    dataset_id: FromPath[str],
    split: FromQuery[Split] = "train",
    limit: Limit = 20,
    after: After = None,
) -> Response[RowPage]:
    """Return rows of a split, in file order."""
    offset = offset_of(after)
    row = await _ready(request, dataset_id)
    read = await _read(request, row, split, offset, limit)
    last_id = str(offset + len(read.rows)) if read.rows else None
    return answer(RowPage(data=read.rows, has_more=read.has_more, last_id=last_id))


@get("/datasets/{dataset_id:str}/preview", operation_id="preview_dataset")
async def preview(
    request: Request,
    dataset_id: FromPath[str],
    base_model: FromQuery[str] = "minilm-l6",
    max_length: Annotated[
        int, Parameter(ge=3, le=8192, description="Tokens of a text.")
    ] = DEFAULT_MAX_LENGTH,
) -> Response[Preview]:
    """Return the first training rows as a base model, or a version, would see them."""
    base = await find_base(request, base_model, pointer="/query/base_model")
    row = await _ready(request, dataset_id)
    read = await _read(request, row, "train", 0, PREVIEW_ROWS)

    def ask(number: int) -> PreviewTexts:
        return PreviewTexts(
            id=number,
            base_model=base_model,
            version_dir=base.version_dir,
            texts=[
                found.text
                if found.text_pair is None
                else TextPair(text=found.text, text_pair=found.text_pair)
                for found in read.rows
            ],
            task=row.task,
            labels=[found.label for found in read.rows],
            known=row.labels,
            max_length=min(max_length, base.positions or max_length),
        )

    reply = await request.services.engines.ask_reader(Previewed, ask)
    return answer(reply.preview)


@get("/datasets/{dataset_id:str}/diff", operation_id="diff_datasets")
async def diff(
    request: Request,
    dataset_id: FromPath[str],
    earlier_id: Annotated[str, QueryParameter(name="from", description="The earlier dataset.")],
) -> Response[DatasetDiff]:
    """Return what changed from another dataset to this one, such as its parent."""
    earlier, later = await _ready(request, earlier_id), await _ready(request, dataset_id)
    if earlier.task != later.task:
        message = f"{earlier_id} is for {earlier.task}, {dataset_id} for {later.task}"
        raise Refusal("task-mismatch", message)
    earlier_folder = await request.services.artifacts.fetch(earlier.artifact)
    folder = await request.services.artifacts.fetch(later.artifact)

    def ask(number: int) -> DiffDatasets:
        return DiffDatasets(
            id=number,
            before=earlier_id,
            after=dataset_id,
            before_dir=str(earlier_folder),
            after_dir=str(folder),
            task=later.task,
        )

    reply = await request.services.engines.ask_reader(Diffed, ask)
    return answer(reply.diff)


async def _ready(request: Request, dataset_id: str) -> DatabaseRow[Any]:
    row = await row_or_404(request, dataset_id)
    if row.status != "ready":
        raise Refusal("dataset-not-ready", f"{dataset_id} is {row.status}")
    return row


async def _read(
    request: Request, row: DatabaseRow[Any], split: Split, offset: int, limit: int
) -> RowsRead:
    folder = await request.services.artifacts.fetch(row.artifact)

    def ask(number: int) -> ReadRows:
        path = str(folder / f"{split}.parquet")
        return ReadRows(id=number, path=path, offset=offset, limit=limit)

    return await request.services.engines.ask_reader(RowsRead, ask)


HANDLERS = [list_rows, preview, diff]
