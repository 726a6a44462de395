"""A planted engine: loads a version as its file `planted.txt` says. Started by bad_engines.py."""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tunery_trainer import __main__ as program
from tunery_trainer import loading

SPARE_BYTES = 64 * 1024 * 1024  # beside what the engine has mapped before it loads


def hang(*_: Any, **__: Any) -> Any:
    time.sleep(3600)


def run_out_of_memory(*_: Any, **__: Any) -> Any:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return bytearray(2 * SPARE_BYTES)


def crash(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)


if __name__ == "__main__":
    model_dir = json.loads(Path(sys.argv[1]).read_bytes())["reads"][0]
    match Path(model_dir, "planted.txt").read_text():
        case "hangs":
            loading.load_version.__kwdefaults__["load_runtime"] = hang
        case "out-of-memory":
            loading.load_version.__kwdefaults__["load_runtime"] = run_out_of_memory
        case "crashes":
            loading._warm_up = crash  # type: ignore[attr-defined]
    sys.exit(program.main(sys.argv[1:]))
