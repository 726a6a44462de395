"""Keys of `AsyncClient`, see `_resources`."""

from tunery import _calls as calls
from tunery._callers import PAGE, AsyncCaller, AsyncPages
from tunery._inputs import id_of
from tunery.types import Key, KeySpec, NewKey
from tunery.types.keys import Scope


class AsyncKeys:
    """API keys: `client.keys`."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    def list(self, *, after: str | None = None) -> AsyncPages[Key]:
        """Iterate over the keys, newest first; their secrets are not among what is shown."""
        return AsyncPages(
            lambda last: self._caller.send(calls.list_keys(limit=PAGE, after=last or after))
        )

    async def create(
        self, name: str, *, scope: Scope = "predict", expires_in_days: int | None = None
    ) -> NewKey:
        """Make a key; its secret is shown here and never again."""
        spec = KeySpec(name=name, scope=scope, expires_in_days=expires_in_days)
        return await self._caller.send(calls.create_key(spec))

    async def delete(self, key: str | Key) -> None:
        """Delete a key; it is refused everywhere within a second."""
        await self._caller.send(calls.delete_key(id_of(key)))
