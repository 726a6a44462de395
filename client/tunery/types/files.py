"""Files: raw bytes as a client sent them, stored once by content."""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, Timestamp, about

PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (
    "text/csv",
    "text/tab-separated-values",
    "application/x-ndjson",
    "application/json",
    PARQUET,
)


class File(Answer, kw_only=True, frozen=True):
    """An uploaded file. Its bytes never change."""

    id: Annotated[str, about("Prefixed ULID.", "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    name: Annotated[str, about("As given on upload; never used as a path.", "reviews.csv")]
    bytes: Annotated[int, about("Size in bytes.", 81234, ge=0, le=MAX_INT)]
    sha256: Annotated[str, about("Hex digest of the bytes.", "9f86d081884c7d65…")]
    media_type: Annotated[str, about("As declared on upload.", "text/csv")]
    created_at: Timestamp
