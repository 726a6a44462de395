"""How a list is cut into pages: newest first, by id, one row more than asked for."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Page

T = TypeVar("T")


async def page_of(
    connection: AsyncConnection,
    statement: Select[Any],
    key: ColumnElement[str],
    to_struct: Callable[[Row[Any]], T],
    *,
    limit: int,
    after: str | None,
) -> Page[T]:
    """Return one page of a statement, descending by its key column."""
    if after is not None:
        statement = statement.where(key < after)
    rows = (await connection.execute(statement.order_by(key.desc()).limit(limit + 1))).all()
    shown = rows[:limit]
    last_id = getattr(shown[-1], key.name) if shown else None
    return Page(data=[to_struct(row) for row in shown], has_more=len(rows) > limit, last_id=last_id)
