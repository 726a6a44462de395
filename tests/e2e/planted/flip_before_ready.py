"""A planted bug: the service, flipping to an engine that has not loaded yet.

The swap test must fail on it; see test_swap.py.
"""

import asyncio
import sys

from tunery_server import __main__ as program
from tunery_server.supervisor.engines import Engine, Target
from tunery_trainer.protocol import wire

DELAY_SECONDS = 0.5  # between the flip and the load that it should have waited for
_late: set[asyncio.Task[object]] = set()


async def load_later(engine: Engine, target: Target) -> wire.Loaded:
    async def load() -> object:
        await asyncio.sleep(DELAY_SECONDS)
        return await honest(engine, target)

    task = asyncio.create_task(load())
    _late.add(task)
    engine.loaded = wire.Loaded(id=1, runtime="openvino", precision="fp32", load_ms=1.0, labels=[])
    return engine.loaded


honest = Engine.load
Engine.load = load_later  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(program.main())
