"""Pages: the two parameters of every list."""

import re
from typing import Annotated

from litestar.params import QueryParameter

from tunery_server.ids import is_id
from tunery_server.problems import Refusal, quote

MAX_LIMIT = 100
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Items of one page.")]
After = Annotated[
    str | None, QueryParameter(max_length=128, description="The `last_id` of the page before.")
]
Filter = Annotated[
    str | None, QueryParameter(max_length=256, description="Only items that have this value.")
]
SLUG = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def check_after(after: str | None, prefix: str | None) -> None:
    """Refuse what is no id of this kind; without a prefix, what is no name.

    Raises:
        Refusal: invalid-pagination.
    """
    if after is None:
        return
    usable = is_id(after, prefix) if prefix is not None else is_slug(after)
    if not usable:
        raise Refusal("invalid-pagination", f"after is {quote(after)}")


def offset_of(after: str | None) -> int:
    """Return how many rows come before a page of rows.

    Raises:
        Refusal: invalid-pagination.
    """
    if after is not None and not (after.isascii() and after.isdecimal() and len(after) <= 12):
        raise Refusal("invalid-pagination", f"after is {quote(after)}")
    return int(after or 0)


def is_slug(name: str) -> bool:
    """Return whether a text can be the name of a model or a deployment."""
    return SLUG.fullmatch(name) is not None
