"""Who may import whom (server/README.md and its neighbours say why), and what nobody may call.

Each rule takes source text and the path it has below the repository, so that the tests can also
show it what it must catch.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("client/tunery", "server/tunery_server", "trainer/tunery_trainer")
HEAVY = ("torch", "transformers", "datasets", "sklearn")

# Folder or module: what it never imports, and what of that it may.
BANS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("client/tunery", ("litestar", "sqlalchemy", *HEAVY, "tunery_server", "tunery_trainer"), ()),
    ("client/tunery/types", ("httpx", "tunery"), ("tunery.types",)),
    ("trainer/tunery_trainer", ("litestar", "sqlalchemy", "httpx", "tunery_server"), ()),
    (
        "trainer/tunery_trainer/protocol",
        (*HEAVY, "tunery", "tunery_trainer"),
        ("tunery.types", "tunery_trainer.protocol"),
    ),
    ("server/tunery_server", (*HEAVY, "tunery_trainer"), ("tunery_trainer.protocol",)),
    ("server/tunery_server/routes", ("tunery_server.supervisor",), ()),
    ("server/tunery_server/supervisor", ("litestar",), ()),
)
HTTPX_MODULE = "client/tunery/_http.py"
ENVIRONMENT_READERS = ("settings.py", "__main__.py", "protocol/leash.py", "tunery/cli/")
UNSAFE_MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve")
UNSAFE_CALLS = ("eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load")
UNSAFE_FLAGS = ("shell", "trust_remote_code")
EMPTY_NAMES = ("utils", "helpers", "common", "manager", "base")

Rule = Callable[[str, str], list[str]]


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield source and path of every module below the folders that exist."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.read_text("utf-8"), path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything that a module imports, also late or by name."""
    package = PurePosixPath(path).parent.parts[1:]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(
            ("import_module", "__import__")
        ):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of a name or an attribute, and nothing for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def below(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def walls_broken(source: str, path: str) -> list[str]:
    """Return the imports that cross a wall of the design."""
    names = list(imported(ast.parse(source), path))
    faults = [
        f"{path}:{line} imports {name}"
        for folder, banned, allowed in BANS
        if path.startswith(f"{folder}/")
        for line, name in names
        if below(name, banned) and not below(name, allowed)
    ]
    if path.startswith("client/") and path != HTTPX_MODULE:
        faults += [
            f"{path}:{line} imports {name}" for line, name in names if below(name, ("httpx",))
        ]
    return sorted(set(faults))


def environment_read(source: str, path: str) -> list[str]:
    """Return where a module reads the environment without being one that may."""
    if any(path.endswith(each) or f"/{each}" in path for each in ENVIRONMENT_READERS):
        return []
    readers = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv")
    tree = ast.parse(source)
    lines = [line for line, name in imported(tree, path) if below(name, readers)]
    lines += [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in readers
    ]
    return [f"{path}:{line} reads the environment" for line in sorted(set(lines))]


def unsafe_code(source: str, path: str) -> list[str]:
    """Return what runs code that came as data, or asks for it."""
    tree = ast.parse(source)
    faults = [
        f"{path}:{line} imports {name}"
        for line, name in imported(tree, path)
        if below(name, (*UNSAFE_MODULES, "torch.load", "yaml.load"))
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if dotted(node.func) in UNSAFE_CALLS:
            faults.append(f"{path}:{node.lineno} calls {dotted(node.func)}")
        faults += [
            f"{path}:{node.lineno} passes {keyword.arg}"
            for keyword in node.keywords
            if keyword.arg in UNSAFE_FLAGS
            and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        ]
    return faults


def empty_name(_source: str, path: str) -> list[str]:
    """Return the module if its name, or a folder's, says nothing about what it holds."""
    parts = PurePosixPath(path).with_suffix("").parts
    return [f"{path} is named {part}" for part in parts if part.strip("_") in EMPTY_NAMES]


@pytest.mark.parametrize("rule", [walls_broken, environment_read])
def test_packages_keep_the_rule(rule: Rule) -> None:
    faults = [fault for source, path in sources(*PACKAGES) for fault in rule(source, path)]

    assert faults == []


@pytest.mark.parametrize("rule", [unsafe_code, empty_name])
def test_packages_and_tests_keep_the_rule(rule: Rule) -> None:
    faults = [fault for source, path in sources(*PACKAGES, "tests") for fault in rule(source, path)]

    assert faults == []


def test_the_rules_see_every_package() -> None:
    seen = {path.split("/")[1] for _, path in sources(*PACKAGES)}

    assert seen == {"tunery", "tunery_server", "tunery_trainer"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("client/tunery/_calls.py", "import torch.nn"),
        ("client/tunery/_calls.py", "import httpx"),
        ("client/tunery/cli/__init__.py", "from tunery_server import settings"),
        ("client/tunery/types/files.py", "from tunery import _client"),
        ("client/tunery/types/files.py", "from .. import _client"),
        ("trainer/tunery_trainer/engine.py", "def f():\n    import httpx"),
        ("trainer/tunery_trainer/protocol/wire.py", "from tunery_trainer import engine"),
        ("trainer/tunery_trainer/protocol/wire.py", "from ..engine import Engine"),
        ("trainer/tunery_trainer/train.py", "__import__('tunery_server.app')"),
        ("server/tunery_server/app.py", "from tunery_trainer.train import train"),
        ("server/tunery_server/app.py", "import importlib\nimportlib.import_module('torch')"),
        ("server/tunery_server/app.py", "if TYPE_CHECKING:\n    import transformers"),
        ("server/tunery_server/routes/jobs.py", "from tunery_server.supervisor import loop"),
        ("server/tunery_server/routes/jobs.py", "from tunery_server import supervisor"),
        ("server/tunery_server/routes/jobs.py", "from ..supervisor.loop import run"),
        ("server/tunery_server/supervisor/loop.py", "from litestar import Litestar"),
    ],
)
def test_a_broken_wall_is_caught(path: str, source: str) -> None:
    assert len(walls_broken(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("client/tunery/_http.py", "import httpx"),
        ("client/tunery/types/files.py", "from tunery.types._meta import about"),
        ("trainer/tunery_trainer/train.py", "import torch\nfrom tunery_trainer.model import Model"),
        ("trainer/tunery_trainer/protocol/wire.py", "from tunery_trainer.protocol import specs"),
        ("server/tunery_server/engines.py", "from tunery_trainer.protocol.wire import Predict"),
        ("server/tunery_server/engines.py", "from tunery_trainer import protocol"),
        ("server/tunery_server/app.py", "from litestar import Litestar\nimport torchlike"),
    ],
)
def test_what_the_design_allows_is_not_caught(path: str, source: str) -> None:
    assert walls_broken(source, path) == []


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"],
)
def test_reading_the_environment_is_caught_outside_its_modules(source: str) -> None:
    assert len(environment_read(source, "server/tunery_server/app.py")) == 1
    assert environment_read(source, "server/tunery_server/settings.py") == []
    assert environment_read(source, "trainer/tunery_trainer/protocol/leash.py") == []
    assert environment_read(source, "client/tunery/cli/__init__.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('a')",
        "from torch import load",
        "yaml.load(text)",
        "eval('1')",
        "exec('1')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=anything)",
        "AutoModel.from_pretrained('a', trust_remote_code=True)",
    ],
)
def test_unsafe_code_is_caught(source: str) -> None:
    assert len(unsafe_code(source, "trainer/tunery_trainer/model.py")) == 1


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "os.execv('a', [])", "f(shell=False)", "f(trust_remote_code=False)"],
)
def test_safe_code_is_not_caught(source: str) -> None:
    assert unsafe_code(source, "trainer/tunery_trainer/model.py") == []


@pytest.mark.parametrize("name", ["utils.py", "_helpers.py", "common/a.py", "manager/__init__.py"])
def test_names_that_say_nothing_are_caught(name: str) -> None:
    assert len(empty_name("", f"server/tunery_server/{name}")) == 1
    assert empty_name("", "server/tunery_server/base_models.py") == []
