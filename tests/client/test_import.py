"""What `import tunery` loads: little."""

import subprocess
import sys

import pytest

CODE = "import sys, tunery; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def modules_after(code: str) -> set[str]:
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(found.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    heavy = {"httpx", "httpcore", "rich", "click", "torch", "litestar", "asyncio", "anyio"}

    assert modules_after(CODE) & heavy == set()


def test_import_loads_neither_server_nor_trainer() -> None:
    loaded = modules_after(CODE)

    assert "msgspec" in loaded
    assert loaded & {"tunery_server", "tunery_trainer", "sqlalchemy", "transformers"} == set()


@pytest.mark.parametrize("name", ["Client", "AsyncClient", "Job", "AsyncJob", "Tuned"])
def test_what_is_loaded_later_is_there(name: str) -> None:
    modules = modules_after(CODE.replace("print", f"assert tunery.{name}; print"))

    assert "tunery" in modules
    assert modules & {"torch", "litestar", "tunery_server"} == set()
