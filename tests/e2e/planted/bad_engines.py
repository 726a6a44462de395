"""The service, with planted engines (engine.py) for the versions that have a `planted.txt`."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunery_server import __main__ as program
from tunery_server.supervisor.child import Child, Nursery

HERE = str(Path(__file__).parent)


async def spawn(nursery: Nursery, arguments: Sequence[str], **options: Any) -> Child:
    if is_planted(arguments):
        arguments = ["engine", *arguments[1:]]
        path = os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])
        options["variables"] = {**(options.get("variables") or {}), "PYTHONPATH": path}
    return await honest(nursery, arguments, **options)


def is_planted(arguments: Sequence[str]) -> bool:
    spec = Path(arguments[-1])
    if not arguments[0].startswith("tunery_trainer") or not spec.is_file():
        return False
    reads = json.loads(spec.read_bytes()).get("reads") or [""]
    return Path(reads[0], "planted.txt").is_file()


honest = Nursery.spawn
Nursery.spawn = spawn  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    sys.exit(program.main())
