"""How the contract describes a field: description, examples and bounds in one short call.

Owns the two struct bases and the limits that several resources share. Knows no resource.
"""

from typing import Annotated, Any

import msgspec

MAX_INT = 2**63 - 1  # what SQLite and PostgreSQL can store


def about(description: str, *examples: Any, **bounds: Any) -> msgspec.Meta:
    """Return the Meta of one field: its text in the API documentation, its examples, its bounds."""
    return msgspec.Meta(description=description, examples=list(examples) or None, **bounds)


class Request(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a client sends: a field that is not of the contract is refused."""


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What the service answers: fields may be added, so clients ignore those they do not know."""


# No control characters: a name is shown in terminals, pages and logs, and never becomes a path.
NAME_PATTERN = r"^(?!.*\.\.)[^\x00-\x1f\x7f\\]{1,128}$"
SLUG_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"

# A figure of all rows, or of those of a label: recall@spam.
METRIC_PATTERN = r"[a-z][a-z0-9_]{0,63}(@[^\x00-\x1f\x7f]{1,200})?"
MetricName = Annotated[str, msgspec.Meta(pattern=f"^{METRIC_PATTERN}$", max_length=265)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)]
Whole = Annotated[int, msgspec.Meta(ge=-MAX_INT, le=MAX_INT)]
Ratio = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Score = Annotated[float, msgspec.Meta(ge=-1e308, le=1e308)]
Timestamp = Annotated[
    str, msgspec.Meta(description="RFC 3339, UTC.", examples=["2026-11-23T20:11:00.000000Z"])
]
