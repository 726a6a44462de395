"""Room: who is sent away, who stays, who waits, who is refused."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tunery_server.supervisor.engines import Engine, LoadFailed, Target
from tunery_server.supervisor.room import STAY_SECONDS, Room, Tenant

TARGET = Target(
    version="intent/1",
    model_dir="",
    manifest_sha256="",
    runtime="auto",
    precision="fp32",
    weights_bytes=0,
)


async def looked() -> None:
    """See nothing new."""


def room_of(megabytes: int) -> Room:
    return Room(megabytes * 1_000_000, looked)


def engine(tenant: Tenant, megabytes: int) -> Engine:
    made = Engine(tenant.owner, None, Path(), Path(), TARGET, tenant.engines)  # type: ignore[arg-type]  # no process
    made.memory_bytes = megabytes * 1_000_000
    tenant.engines.add(made)
    return made


def serving(room: Room, owner: str, megabytes: int, *, used_at: float = 0.0) -> Tenant:
    """Return a tenant that has been serving for a while."""
    tenant = room.enter(owner)
    engine(tenant, megabytes)
    tenant.used_at, tenant.busy = used_at, False
    return tenant


async def leaving_when_sent_away(*tenants: Tenant) -> None:
    """Let tenants do as their actors would."""

    async def live(tenant: Tenant) -> None:
        await tenant.nudged.wait()
        tenant.engines.clear()
        tenant.sent_away = False

    await asyncio.gather(*(live(tenant) for tenant in tenants))


def run(body: Callable[[], Coroutine[Any, Any, None]], *tenants: Tenant) -> None:
    async def with_tenants() -> None:
        lives = asyncio.create_task(leaving_when_sent_away(*tenants))
        try:
            async with asyncio.timeout(20):
                await body()
        finally:
            lives.cancel()
            await asyncio.gather(lives, return_exceptions=True)

    asyncio.run(with_tenants())


async def load(room: Room, tenant: Tenant, megabytes: int, *, unload: bool = True) -> None:
    async with room.promised(tenant, megabytes * 1_000_000, unload=unload):
        engine(tenant, megabytes)


def test_the_least_recently_used_is_sent_away_and_no_other() -> None:
    room = room_of(300)
    old = serving(room, "p/old", 100, used_at=1.0)
    older_but_pinned = serving(room, "p/pinned", 100, used_at=0.0)
    older_but_pinned.pinned = True
    young = serving(room, "p/young", 100, used_at=2.0)

    run(lambda: load(room, room.enter("p/new"), 100), old, young, older_but_pinned)

    assert [bool(each.engines) for each in (old, older_but_pinned, young)] == [False, True, True]


def test_nobody_is_sent_away_for_what_does_not_fit_even_so() -> None:
    room = room_of(300)
    pinned, idle = serving(room, "p/pinned", 200), serving(room, "p/idle", 50)
    pinned.pinned = True

    with pytest.raises(LoadFailed) as caught:
        run(lambda: load(room, room.enter("p/new"), 150), pinned, idle)

    assert caught.value.code == "insufficient-capacity"
    assert str(caught.value) == (
        "engines may hold 300 MB; about 150 MB more would be needed; "
        "now they hold: pinned 200 MB (pinned), idle 50 MB"
    )
    assert idle.engines


def test_another_project_is_not_named() -> None:
    room = room_of(100)
    serving(room, "theirs/secret", 80).pinned = True

    with pytest.raises(LoadFailed, match=r"now they hold: other projects 80 MB$"):
        run(lambda: load(room, room.enter("ours/new"), 50))


def test_what_was_loaded_for_a_restart_sends_nobody_away() -> None:
    room = room_of(100)
    first = serving(room, "p/first", 80)

    with pytest.raises(LoadFailed):
        run(lambda: load(room, room.enter("p/second"), 80, unload=False), first)

    assert first.engines


def test_who_has_just_come_stays_for_a_moment() -> None:
    room = room_of(100)
    first = serving(room, "p/first", 80)
    first.serving_since = came_at = time.monotonic()

    run(lambda: load(room, room.enter("p/second"), 80), first)

    assert time.monotonic() - came_at >= STAY_SECONDS
    assert not first.engines


def test_what_is_busy_is_waited_for() -> None:
    room = room_of(100)
    busy = serving(room, "p/busy", 80)
    busy.busy = True
    order: list[str] = []

    async def body() -> None:
        loading = asyncio.create_task(load(room, room.enter("p/new"), 80))
        loading.add_done_callback(lambda _: order.append("loaded"))
        await asyncio.sleep(0)
        order.append("settled")
        busy.busy = False
        await loading

    run(body, busy)

    assert order == ["settled", "loaded"]


def test_two_that_need_room_at_once_get_it_in_turn() -> None:
    room = room_of(100)
    first, second = room.enter("p/first"), room.enter("p/second")

    async def come(tenant: Tenant) -> None:
        await load(room, tenant, 80)
        tenant.busy = False

    async def body() -> None:
        await asyncio.gather(come(first), come(second))

    run(body, first, second)

    assert (bool(first.engines), bool(second.engines)) == (False, True)


def test_what_takes_more_than_was_thought_is_measured_and_refused() -> None:
    room = room_of(100)
    tenant = room.enter("p/large")

    async def body() -> None:
        async with room.promised(tenant, 50_000_000):
            engine(tenant, 120)

    with pytest.raises(LoadFailed, match="engines may hold 100 MB; now they hold: large 120 MB"):
        run(body)


def test_engines_on_their_way_out_are_waited_for() -> None:
    room = room_of(100)
    tenant = room.enter("p/again")
    old = engine(tenant, 80)
    old.retired = True

    async def body() -> None:
        loading = asyncio.create_task(load(room, tenant, 80))
        await asyncio.sleep(0)
        tenant.engines.discard(old)
        await loading

    run(body)

    assert [each.memory_bytes for each in tenant.engines] == [80_000_000]


def test_a_budget_of_nothing_is_no_limit() -> None:
    room = room_of(0)
    first = serving(room, "p/first", 80)

    run(lambda: load(room, room.enter("p/second"), 10_000), first)

    assert first.engines


def test_only_what_was_not_used_for_long_is_idle() -> None:
    room = room_of(0)
    now = time.monotonic()
    unused = serving(room, "p/unused", 1, used_at=now - 60)
    used = serving(room, "p/used", 1, used_at=now)
    pinned = serving(room, "p/pinned", 1, used_at=now - 60)
    pinned.pinned = True

    room.send_idle_away(30)

    assert [each.sent_away for each in (unused, used, pinned)] == [True, False, False]
