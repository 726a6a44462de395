"""The doctor program: says what this machine has for training and serving, as one JSON object.

    python -m tunery_trainer doctor             the whole Diagnosis
    python -m tunery_trainer doctor torch       one part of it; or seal

The two parts that may crash, hang or can't be taken back answer in a process of their own. What
is missing is an answer, never an error.
"""

import importlib.metadata
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tunery_trainer.confine import confine, landlock_abi
from tunery_trainer.protocol.leash import environment_of_child
from tunery_trainer.protocol.manifest import sha256_of
from tunery_trainer.protocol.minilm import MINILM_SHA256, package_directory

_PACKAGES = (
    *("torch", "transformers", "datasets", "accelerate", "openvino"),
    *("safetensors", "tokenizers"),
)
_DRIVER = Path("/sys/module/nvidia/version")
_SEAL_SECONDS, _TORCH_SECONDS = 4, 14  # the whole has to be done in 20

Part = TypeVar("Part")


class CudaDevice(msgspec.Struct, kw_only=True, frozen=True):
    """A GPU as torch sees it."""

    name: str
    memory_bytes: int
    compute_capability: str
    bf16: bool


class Torch(msgspec.Struct, kw_only=True, frozen=True):
    """What torch says; `error` is why it is not there, or has no GPU."""

    import_seconds: float | None = None
    cuda: str | None = None  # the version that it was built for
    devices: list[CudaDevice] = []
    error: str | None = None


class Seal(msgspec.Struct, kw_only=True, frozen=True):
    """How a child is confined here; `reason` is why not by both."""

    landlock_abi: int | None = None
    seccomp: bool = False  # whether sockets of networks are refused
    reason: str | None = None


class Minilm(msgspec.Struct, kw_only=True, frozen=True):
    """The embedded base model; null and false where a file of it is missing."""

    directory: str | None = None
    sha256: str | None = None  # of its weights
    pinned: bool = False  # whether they are the ones that tunery was made with


class Diagnosis(msgspec.Struct, kw_only=True, frozen=True):
    """What this machine has; null stands for what it has not."""

    python: str
    packages: dict[str, str | None]  # version by name
    cpu_threads: int  # that this process may use
    driver: str | None  # of NVIDIA
    torch: Torch
    seal: Seal
    minilm: Minilm


def examine() -> Diagnosis:
    """Look at everything."""
    seal = _ask("seal", Seal, patience_seconds=_SEAL_SECONDS)
    torch = _ask("torch", Torch, patience_seconds=_TORCH_SECONDS)
    return Diagnosis(
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
        cpu_threads=len(os.sched_getaffinity(0)),
        driver=_DRIVER.read_text().strip() if _DRIVER.is_file() else None,
        torch=Torch(error=torch) if isinstance(torch, str) else torch,
        seal=Seal(reason=seal) if isinstance(seal, str) else seal,
        minilm=find_minilm(),
    )


def find_torch() -> Torch:
    """Import torch and ask it for its GPUs."""
    began = time.perf_counter()
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of it can't be loaded
        return Torch(error=str(error))
    seconds = round(time.perf_counter() - began, 3)
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch gives it no types
        devices = [_device(i) for i in range(torch.cuda.device_count())]
    except (AssertionError, RuntimeError) as error:  # AssertionError: it is a build without CUDA
        return Torch(import_seconds=seconds, cuda=torch.version.cuda, error=str(error))
    return Torch(import_seconds=seconds, cuda=torch.version.cuda, devices=devices)


def try_seal() -> Seal:
    """Confine this process for good, as a child is, and try the part that can be tried."""
    try:
        confine([], [])
    except OSError as error:
        return Seal(reason=str(error))
    reasons: list[str] = []
    abi = landlock_abi() or None
    if abi is None:
        reasons.append(f"Linux {platform.release()} has no Landlock, or lsm= leaves it out")
    seccomp = _is_refused_sockets()
    if not seccomp:
        reasons.append(f"there is no socket filter for {platform.machine()}")
    return Seal(landlock_abi=abi, seccomp=seccomp, reason="; ".join(reasons) or None)


PARTS: dict[str, Callable[[], Torch | Seal]] = {"torch": find_torch, "seal": try_seal}


def find_minilm() -> Minilm:
    """Look the base model up in its package, whose code is never run, and hash its weights."""
    directory = package_directory()
    if directory is None:
        return Minilm()
    sha256 = sha256_of(directory / "model.safetensors")
    return Minilm(directory=str(directory), sha256=sha256, pinned=sha256 == MINILM_SHA256)


def _ask(part: str, kind: type[Part], *, patience_seconds: int) -> Part | str:
    """Return what a process of its own says about a part, or why it said nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tunery_trainer", "doctor", part],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience_seconds,
            env=environment_of_child(),
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {patience_seconds} s"
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    if done.returncode > 0:
        return done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return msgspec.json.decode(done.stdout, type=kind)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device(index: int) -> CudaDevice:
    import torch

    with torch.cuda.device(index):
        facts = torch.cuda.get_device_properties(index)
        return CudaDevice(
            name=facts.name,
            memory_bytes=facts.total_memory,
            compute_capability=f"{facts.major}.{facts.minor}",
            bf16=torch.cuda.is_bf16_supported(including_emulation=False),
        )


def _is_refused_sockets() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()  # Landlock alone lets UDP through
    except PermissionError:
        return True
    return False
