"""Settings: all that an operator may decide, from the command line or `TUNERY_*` variables.

The only module that reads the environment. `python -m tunery_server --help` lists everything.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """What the operator decided."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: str = "tunery-data"
    workers: int = 1  # API processes
    database_url: str = ""  # empty: SQLite in the data directory
    artifacts_url: str = ""  # empty: `artifacts` in the data directory; any fsspec URL
    devices: list[str] = []  # slots of the train lane; empty: one `cpu`; `none`: no lane
    light_slots: int = 1
    threads: int = 0  # of a trainer or an engine; 0: one per core
    spares: int = 1  # warm trainers that wait for a spec
    base_models: dict[str, str] = {}  # id: directory; an empty one is looked up in the hub's cache
    hub_dir: str = "~/.cache/huggingface/hub"  # of hub ids; nothing is downloaded
    allowed_hosts: list[str] = []  # beside the loopback names
    max_upload_bytes: int = 1 << 30
    max_json_bytes: int = 1 << 20
    max_predict_bytes: int = 2 << 20
    max_queue_tokens: int = 65_536  # of one engine
    max_batch_tokens: int = 0  # of one forward pass; 0: as many as the device does well
    engine_memory: float = 0.8  # of their device, for all engines: a share, above 1 bytes; 0: all
    idle_unload_seconds: float = 0.0  # after which what nobody asks is unloaded; 0: never
    ingest_memory_bytes: int = 4 << 30
    predict_timeout_ms: int = 10_000
    key_requests_per_second: float = 1_000.0  # of one key, in each API worker; 0: no limit
    load_timeout_seconds: float = 60.0
    stall_seconds: float = 60.0
    drain_seconds: float = 30.0  # for requests that have begun, and for jobs to be saved
    unready_seconds: float = 0.2  # of taking requests while /health/ready already says 503
    stop_seconds: float = 30.0  # between letting go of a trainer's leash and killing it

    @property
    def root(self) -> Path:
        """The data directory, absolute."""
        return Path(self.data_dir).absolute()

    @property
    def run_dir(self) -> Path:
        """Sockets of this life; made anew at every start."""
        return self.root / "run"

    @property
    def reader_socket(self) -> Path:
        """Where the reader answers the API and the supervisor."""
        return self.run_dir / "reader.sock"

    @property
    def work_dir(self) -> Path:
        """Private directories of running children."""
        return self.root / "work"

    @property
    def cache_dir(self) -> Path:
        """What can be made again: tokenised rows."""
        return self.root / "cache"

    @property
    def log_dir(self) -> Path:
        """Logs and curves of children, by job and attempt."""
        return self.root / "logs"

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite+aiosqlite:///{self.root / 'tunery.db'}"

    @property
    def artifacts(self) -> str:
        """Fsspec URL below which artifacts stand."""
        return self.artifacts_url or f"file://{self.root / 'artifacts'}"

    @property
    def hub_cache(self) -> Path:
        """Where the Hugging Face cache stands."""
        return Path(self.hub_dir).expanduser()

    @property
    def thread_count(self) -> int:
        """Threads of a trainer or an engine."""
        return self.threads or len(os.sched_getaffinity(0))

    def train_threads(self, *, serving: bool) -> int:
        """Return the threads of a trainer: a core is left to what is deployed."""
        return max(1, self.thread_count - 1) if serving else self.thread_count

    @property
    def device_slots(self) -> list[str]:
        """Slots of the train lane."""
        return [] if self.devices == ["none"] else self.devices or ["cpu"]

    @property
    def engine_device(self) -> str:
        """The device that serves."""
        slots = self.device_slots
        return "cuda:0" if slots and slots[0].startswith("cuda") else "cpu"

    def batch_tokens(self, precision: str) -> int:
        """Return tokens of one forward pass: more gain nothing, and answers wait for each other.

        What is computed in less than fp32 takes half as long on a CPU, so that more go together.
        """
        on_cpu = 512 if precision == "fp32" else 768
        return self.max_batch_tokens or (on_cpu if self.engine_device == "cpu" else 16_384)

    @property
    def hosts(self) -> frozenset[str]:
        """Names that a Host header may give."""
        return frozenset({*LOOPBACK, self.host, *self.allowed_hosts})


class SettingsInvalid(Exception):
    """A setting can't be used; the message names it."""


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings: an argument wins over a variable, a variable over the default.

    Raises:
        SettingsInvalid: a value has the wrong type.
    """
    parser = argparse.ArgumentParser(
        prog="tunery serve", description="Serve fine-tuning and prediction over HTTP."
    )
    for field in msgspec.structs.fields(Settings):
        kind = "comma-separated" if "list" in str(field.type) else ""
        kind = "name=directory,…" if "dict" in str(field.type) else kind
        default = field.default if field.default is not msgspec.NODEFAULT else ""
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            metavar="VALUE",
            help=f"{kind or 'default'} {default}".strip() + f" (TUNERY_{field.name.upper()})",
        )
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    for field in msgspec.structs.fields(Settings):
        value = environment.get(f"TUNERY_{field.name.upper()}")
        if value:
            given.setdefault(field.name, value)
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    return Settings(**{name: _converted(fields[name], value) for name, value in given.items()})


PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "TZ",
    "VIRTUAL_ENV",
)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that children get: no key, no password, no URL is among them."""
    return {name: environment[name] for name in PASSED_ON if name in environment}


def _converted(field: msgspec.structs.FieldInfo, value: str) -> Any:
    try:
        return msgspec.convert(_parsed(field.name, value), field.type, strict=False)
    except msgspec.ValidationError as error:
        kind = "a whole number" if field.type is int else "a number"
        flag = f"--{field.name.replace('_', '-')}"
        raise SettingsInvalid(
            f"{flag} (TUNERY_{field.name.upper()}) is {value!r}, not {kind}"
        ) from error


def _parsed(name: str, value: str) -> object:
    if name in ("devices", "allowed_hosts"):
        return [part.strip() for part in value.split(",") if part.strip()]
    if name == "base_models":
        pairs = (part.partition("=") for part in value.split(",") if part.strip())
        return {key.strip(): directory.strip() for key, _, directory in pairs}
    return value
