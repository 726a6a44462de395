"""A page of a list: the same envelope for every resource."""

from typing import Annotated, Generic, TypeVar

import msgspec

from tunery.types._meta import about

T = TypeVar("T")

Limit = Annotated[int, about("Items of one page.", 20, ge=1, le=100)]


class Page(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """Newest first; ask for the next page with `?after=<last_id>`."""

    data: Annotated[list[T], about("The items.")]
    has_more: Annotated[bool, about("Whether another page follows.", False)]
    last_id: Annotated[
        str | None,
        about("Pass it as `after`; null on an empty page.", None, "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"),
    ]
