"""Keys: who may ask for what, and until when.

A key's secret stands in the answer that made it and nowhere else; afterwards its id names it.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from tunery.types._meta import NAME_PATTERN, Answer, Request, Timestamp, about

Scope = Literal["predict", "train", "admin"]


class KeySpec(Request, kw_only=True, frozen=True):
    """Makes a key of the project that asks."""

    name: Annotated[str, about("Who or what will use it.", "ci", pattern=NAME_PATTERN)]
    scope: Annotated[Scope, about("Each includes those before it.", "predict")]
    expires_in_days: Annotated[
        Annotated[int, Meta(ge=1, le=3650)] | None,
        about("Days until the key is refused; null for never.", 90),
    ] = None


class Key(Answer, kw_only=True, frozen=True):
    """A key, without its secret."""

    id: Annotated[str, about("Stands inside the secret; logs name the key by it.", "8a4TQz0c")]
    name: Annotated[str, about("Who or what uses it.", "ci")]
    scope: Annotated[Scope, about("Each includes those before it.", "predict")]
    created_at: Timestamp
    expires_at: Annotated[Timestamp | None, about("From then on it is refused; null for never.")]
    last_used_at: Annotated[Timestamp | None, about("To the minute; null before its first use.")]


class NewKey(Key, kw_only=True, frozen=True):
    """A key that was just made."""

    secret: Annotated[
        str,
        about("Send it as `Authorization: Bearer …`; it is never shown again.", "tnr_8a4TQz0c_…"),
    ]

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, name={self.name!r}, scope={self.scope!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec has one, which would show the secret.
        return [("id", self.id), ("name", self.name), ("scope", self.scope)]
