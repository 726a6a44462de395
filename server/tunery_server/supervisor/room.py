"""Room: the memory of the device that engines run on, and which deployment leaves when it is short.

Knows deployments as tenants: what they hold, when they were asked last, whether they may go. It
starts and ends no engine; a tenant that is sent away leaves by itself.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from tunery_server.supervisor.engines import Engine, LoadFailed

NO_ROOM = "insufficient-capacity"
STAY_SECONDS = 1.0  # who has just come serves those that waited for it, before it may be sent away
LOOK_SECONDS = 0.02  # between two looks at whether there is room by now


class Tenant:
    """One deployment in the room."""

    def __init__(self, owner: str) -> None:
        self.owner = owner  # project/name
        self.pinned = False
        self.engines: set[Engine] = set()  # those that drain, too
        self.promised_bytes = 0  # to engines that are being loaded
        self.used_at = 0.0  # time.monotonic(), like the next
        self.serving_since = 0.0
        self.busy = True  # with something that ends by itself: a load, a flip
        self.waiting = 0  # loads that wait for room
        self.sent_away = False
        self.nudged = asyncio.Event()  # it is sent away, or asked for

    @property
    def held_bytes(self) -> int:
        """What it holds, and what it has been promised."""
        return self.promised_bytes + sum(engine.memory_bytes for engine in self.engines)

    @property
    def draining(self) -> bool:
        """Whether some of its engines are on their way out."""
        return any(engine.retired for engine in self.engines)

    @property
    def leaving(self) -> bool:
        """Whether it will soon hold less."""
        return self.sent_away or self.draining

    @property
    def moving(self) -> bool:
        """Whether what it holds is about to change without anybody asking."""
        return self.leaving or (self.busy and not self.waiting)

    @property
    def may_leave(self) -> bool:
        """Whether it can be sent away."""
        return bool(self.engines) and not (self.pinned or self.busy or self.leaving)

    def send_away(self) -> None:
        """Ask it to let its engines go; it does so when they hold no request."""
        self.sent_away = True
        self.nudged.set()


class Room:
    """A budget of memory, and those who share it.

    `look` brings up to date what every tenant holds and when it was used.
    """

    def __init__(self, budget_bytes: int, look: Callable[[], Awaitable[None]]) -> None:
        self._budget_bytes = budget_bytes
        self._look = look
        self._tenants: dict[str, Tenant] = {}
        self._turn = asyncio.Lock()  # first come, first served

    def enter(self, owner: str) -> Tenant:
        """Return the tenant of a deployment."""
        tenant = self._tenants[owner] = Tenant(owner)
        return tenant

    @contextlib.asynccontextmanager
    async def promised(
        self, tenant: Tenant, needed_bytes: int, *, unload: bool = True
    ) -> AsyncGenerator[None]:
        """Keep room free for what is loaded within the block, and see that it does fit.

        Those used least recently are sent away for it, unless `unload` is false.

        Raises:
            LoadFailed: it would not fit, even so; or it took more room than there is.
        """
        if self._short_bytes(needed_bytes) > 0:
            async with self._in_turn(tenant):
                await self._make_room(tenant, needed_bytes, unload=unload)
                tenant.promised_bytes += needed_bytes
        else:  # nobody's turn: there is room beside whoever waits for more
            tenant.promised_bytes += needed_bytes
        try:
            yield
        finally:
            tenant.promised_bytes -= needed_bytes
        if self._short_bytes(0) > 0:
            async with self._in_turn(tenant):
                await self._make_room(tenant, 0, unload=unload)

    def send_idle_away(self, idle_seconds: float) -> None:
        """Send away whoever has not been used for so long."""
        before = time.monotonic() - idle_seconds
        for tenant in self._tenants.values():
            if tenant.may_leave and tenant.used_at < before:
                tenant.send_away()

    @contextlib.asynccontextmanager
    async def _in_turn(self, tenant: Tenant) -> AsyncGenerator[None]:
        tenant.waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            tenant.waiting -= 1

    async def _make_room(self, tenant: Tenant, needed_bytes: int, *, unload: bool) -> None:
        if self._short_bytes(needed_bytes) > 0:
            await self._look()
        while (short := self._short_bytes(needed_bytes)) > 0:
            others = [each for each in self._tenants.values() if each is not tenant]
            leavers = [each for each in others if unload and each.may_leave]
            if tenant.draining or any(each.leaving for each in others):
                pass  # one after the other, so that no more go than must
            elif sum(each.held_bytes for each in leavers) >= short:
                _send_one_away(leavers)
            elif not any(each.moving for each in others):
                raise LoadFailed(NO_ROOM, self._shortage(tenant, needed_bytes))
            await asyncio.sleep(LOOK_SECONDS)

    def _short_bytes(self, needed_bytes: int) -> int:
        """Return how much is missing; a budget of 0 is none."""
        if not self._budget_bytes:
            return 0
        held = sum(tenant.held_bytes for tenant in self._tenants.values())
        return held + needed_bytes - self._budget_bytes

    def _shortage(self, tenant: Tenant, needed_bytes: int) -> str:
        """Return who holds what; of other projects only the sum is told."""
        project = tenant.owner.partition("/")[0] + "/"
        holders = [each for each in self._tenants.values() if each.held_bytes]
        own = [each for each in holders if each.owner.startswith(project)]
        held = [
            f"{each.owner.removeprefix(project)} {_megabytes(each.held_bytes)}"
            + (" (pinned)" if each.pinned else "")
            for each in sorted(own, key=lambda each: -each.held_bytes)
        ]
        strange = sum(each.held_bytes for each in holders if each not in own)
        if strange:
            held.append(f"other projects {_megabytes(strange)}")
        needs = f"about {_megabytes(needed_bytes)} more would be needed; " if needed_bytes else ""
        return (
            f"engines may hold {_megabytes(self._budget_bytes)}; {needs}"
            f"now they hold: {', '.join(held) or 'nothing'}"
        )


def _send_one_away(leavers: Sequence[Tenant]) -> None:
    """Send away the one that was used least recently, of those that have been here a while."""
    came_before = time.monotonic() - STAY_SECONDS
    settled = [each for each in leavers if each.serving_since <= came_before]
    if settled:
        min(settled, key=lambda each: each.used_at).send_away()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
