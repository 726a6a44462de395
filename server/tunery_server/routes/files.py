"""Files: raw uploads, stored once by content."""

import re
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import File
from tunery_server.answers import answer
from tunery_server.db.columns import now
from tunery_server.db.queries import datasets, files
from tunery_server.idempotency import Created, create, key_of
from tunery_server.ids import is_id, new_id
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.uploads import received

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,128}")


@post("/files", status_code=201, operation_id="upload_file", opt={"raw_body": True})
async def upload(
    request: Request,
    name: Annotated[str, QueryParameter(description="As users know it; never a path.")] = "upload",
) -> Response[File]:
    """Upload a file as the raw body."""
    key_of(request)
    if _NAME.fullmatch(name) is None:
        raise Refusal("invalid-name", f"name is {quote(name)}")
    artifacts = request.services.artifacts
    async with received(request, artifacts.incoming) as uploaded:

        async def make(connection: AsyncConnection) -> Created[File]:
            file = await files.add(
                connection,
                id=new_id("file"),
                project=request.project,
                name=name,
                bytes=uploaded.size_bytes,
                sha256=uploaded.sha256,
                media_type=uploaded.media_type,
                created_at=now(),
            )
            # Inside the transaction: no deletion of the last row with these bytes may fall between.
            await artifacts.put_file(uploaded.path, files.artifact(uploaded.sha256))
            return Created(content=file, status=201, location=f"/files/{file.id}")

        return await create(request, File, make, body_sha256=uploaded.sha256)


@get("/files/{file_id:str}", operation_id="get_file")
async def show(request: Request, file_id: FromPath[str]) -> Response[File]:
    """Return a file's description."""
    if not is_id(file_id, "file"):
        raise _unknown(file_id)
    async with request.services.database.read() as connection:
        file = await files.get(connection, request.project, file_id)
    if file is None:
        raise _unknown(file_id)
    return answer(file)


@delete("/files/{file_id:str}", operation_id="delete_file")
async def remove(request: Request, file_id: FromPath[str]) -> None:
    """Delete a file; datasets that were made from it stay."""
    if not is_id(file_id, "file"):
        raise _unknown(file_id)
    async with request.services.database.write() as connection:
        if await files.get(connection, request.project, file_id) is None:
            raise _unknown(file_id)
        if await datasets.uses_file(connection, request.project, file_id):
            raise Refusal("file-in-use", f"a dataset is being made from {file_id}")
        sha256 = await files.remove(connection, request.project, file_id)
    if sha256 is None:
        return
    # The row went first. The bytes go under the lock, so that no upload of them falls between.
    async with request.services.database.write() as connection:
        if not await files.is_stored(connection, sha256):
            await request.services.artifacts.remove(files.artifact(sha256))


def _unknown(file_id: str) -> Refusal:
    return Refusal("not-found", f"there is no file {quote(file_id)}")


HANDLERS = [upload, show, remove]
