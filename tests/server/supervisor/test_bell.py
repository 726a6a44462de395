"""The bell: what rings it, and what goes past it."""

import asyncio
from pathlib import Path

from tunery_server.news import News
from tunery_server.supervisor.bell import Bell, Datagrams


def test_a_wanted_deployment_is_heard_and_rings_no_bell(tmp_path: Path) -> None:
    async def body() -> tuple[str, int, int]:
        bell, news = Bell(), News(tmp_path)
        datagrams = Datagrams(tmp_path, bell)
        wanted: asyncio.Queue[str] = asyncio.Queue()
        datagrams.on_wanted(wanted.put_nowait)
        async with asyncio.timeout(10):
            news.want("default/intent")
            owner, rings = await wanted.get(), bell.rings
            news.wake()
            await bell.wait(rings)
        news.close()
        datagrams.close()
        return owner, rings, bell.rings

    assert asyncio.run(body()) == ("default/intent", 0, 1)
