"""Keys: made and removed by admins, for their own project."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Key, KeySpec, NewKey, Page
from tunery_server.answers import answer
from tunery_server.db.columns import now
from tunery_server.db.queries import keys
from tunery_server.idempotency import Created, Replay, once
from tunery_server.keys import NEWS, is_key_id, new_key, new_secret, sha256
from tunery_server.pagination import After, Limit
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request

ADMIN = {"scope": "admin"}


@get("/keys", operation_id="list_keys", opt=ADMIN)
async def list_all(request: Request, limit: Limit = 20, after: After = None) -> Response[Page[Key]]:
    """List the keys of the project, newest first, without their secrets."""
    async with request.services.database.read() as connection:
        last = None if after is None else await _last(connection, request.project, after)
        page = await keys.list_page(connection, request.project, limit=limit, after=last)
    return answer(page)


@post("/keys", status_code=201, operation_id="create_key", opt=ADMIN)
async def add(request: Request, data: JSONBody[KeySpec]) -> Response[NewKey]:
    """Make a key; no other answer shows its secret, and a replay makes a new one."""
    key_id, secret = new_key()
    made_at = now()
    days = data.expires_in_days

    async def make(connection: AsyncConnection) -> Created[Key]:
        key = await keys.add(
            connection,
            id=key_id,
            project=request.project,
            name=data.name,
            scope=data.scope,
            sha256=sha256(secret.encode()),
            created_at=made_at,
            expires_at=None if days is None else made_at + timedelta(days=days),
        )
        return Created(content=key, status=201, location=f"/keys/{key_id}")

    done = await once(request, make)
    if isinstance(done, Replay):
        # The secret of the first answer is stored nowhere, so that no reader of the database can
        # use it: it can't be answered again. Who asks again has not received it; the key keeps its
        # id and gets a secret that is as good, and the lost one is refused.
        key = msgspec.json.decode(done.body, type=Key)
        secret = new_secret(key.id)
        key = await _renew(request, key.id, secret)
    else:
        key = done.content
    request.services.news.tell_workers(NEWS)
    shown = NewKey(**msgspec.structs.asdict(key), secret=secret)
    return answer(shown, status=done.status, headers=done.headers)


@delete("/keys/{key_id:str}", operation_id="delete_key", opt=ADMIN)
async def remove(request: Request, key_id: FromPath[str]) -> None:
    """Remove a key; within a second every worker refuses it."""
    if not is_key_id(key_id):
        raise _unknown(key_id)
    async with request.services.database.write() as connection:
        admins = await keys.lock_admins(connection, request.project)
        key = await keys.row_of(connection, request.project, key_id)
        if key is None:
            raise _unknown(key_id)
        others = [admin.expires_at for admin in admins if admin.id != key_id]
        if key.scope == "admin" and not any(_lasts(end, key.expires_at) for end in others):
            raise Refusal("last-admin-key", f"no other admin key lasts as long as {key_id}")
        await keys.remove(connection, request.project, key_id)
    request.services.news.tell_workers(NEWS)


def _lasts(end: datetime | None, other: datetime | None) -> bool:
    # An admin key that expires sooner is no stand-in: on that day nobody could make another.
    return end is None or (other is not None and end >= other)


async def _last(connection: AsyncConnection, project: str, after: str) -> Row[Any]:
    row = await keys.row_of(connection, project, after) if is_key_id(after) else None
    if row is None:  # a list by age, unlike one by id, can't go on from a key that is gone
        raise Refusal("invalid-pagination", f"after is {quote(after)}, which is no key")
    return row


async def _renew(request: Request, key_id: str, secret: str) -> Key:
    async with request.services.database.write() as connection:
        key = await keys.renew(connection, request.project, key_id, sha256(secret.encode()))
    if key is None:
        raise _unknown(key_id)
    return key


def _unknown(key_id: str) -> Refusal:
    return Refusal("key-not-found", f"there is no key {quote(key_id)}")


HANDLERS = [list_all, add, remove]
