"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator


class Json(TypeDecorator[Any]):
    """A msgspec type as JSON text, decoded strictly when read."""

    impl = Text
    cache_ok = True

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Encode."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Decode."""
        return None if value is None else msgspec.json.decode(value, type=self.of)


class Moment(TypeDecorator[datetime]):
    """A time as microseconds since 1970, UTC: exact and ordered on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Encode."""
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Decode."""
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, tz=UTC)


def now() -> datetime:
    """Return the present moment, UTC."""
    return datetime.now(tz=UTC)


def stamp(moment: datetime) -> str:
    """Return a moment as the contract writes it: RFC 3339, UTC."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def stamp_or_none(moment: datetime | None) -> str | None:
    """Return a moment as the contract writes it, or None."""
    return None if moment is None else stamp(moment)
