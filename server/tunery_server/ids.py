"""Ids: prefixed ULIDs. Their order is a convenience for people; nothing depends on it."""

import re

from ulid import ULID

_PATTERN = re.compile(r"^[a-z]+_[0-9A-HJKMNP-TV-Z]{26}$")


def new_id(prefix: str) -> str:
    """Return a fresh id such as `job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B`."""
    return f"{prefix}_{ULID()}"


def is_id(text: str, prefix: str) -> bool:
    """Return whether a text has the form of an id; no query is made for one that has not."""
    return text.startswith(f"{prefix}_") and _PATTERN.fullmatch(text) is not None
