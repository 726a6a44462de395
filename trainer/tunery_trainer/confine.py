"""Confinement: a child reaches the files that its spec names, no others, and no network.

Owns what each spec may read and write, Landlock (kernel 5.13 and later, no privilege needed) and
the limits of a process. Confine before the first thread is started: the kernel confines the
calling thread and what it starts, not its siblings.

Source: https://docs.kernel.org/userspace-api/landlock.html and linux/landlock.h.
"""

import ctypes
import os
import resource
import site
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import tunery
import tunery_trainer
from tunery.types import SPLITS
from tunery_trainer.protocol.specs import (
    AnyRun,
    EngineRun,
    EvaluateRun,
    FinetuneRun,
    IngestRun,
    LabelIssuesRun,
    ReaderRun,
)
from tunery_trainer.socket_filter import refuse_network_sockets

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522  # linux/capability.h
_DAC_OVERRIDE = 1 << 1  # root keeps reading files of others, where Landlock lets it

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE = 1 << 4 | 1 << 5
_MAKE_DEVICE = 1 << 6 | 1 << 11
_MAKE = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12  # directory, file, socket, fifo, link
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_RIGHTS_SINCE_ABI = {
    1: (1 << 13) - 1,
    2: _REFER,
    3: _TRUNCATE,
    5: _IOCTL_DEVICE,
}
_TCP_BIND_AND_CONNECT = 1 << 0 | 1 << 1  # ABI 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 1 << 0 | 1 << 1  # ABI 6

_READ = _READ_FILE | _READ_DIR
# A program that is run stays confined; libraries ask lscpu, ldconfig or a compiler.
_RUN = _READ | _EXECUTE
# No devices: root would make itself the disk's.
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE | _MAKE | _REFER
_USE_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEVICE

_SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt/cuda")))
# Not /etc: it holds keys. These are what libc, Python's mimetypes and ICDs of GPUs ask for.
_SYSTEM_FACTS = tuple(
    Path(name)
    for name in (
        *("/proc", "/sys", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime"),
        *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release"),
        *("/etc/mime.types", "/etc/OpenCL", "/etc/vulkan"),
    )
)
_DEVICES = tuple(Path("/dev", name) for name in ("null", "zero", "full", "random", "urandom"))
_SHARED_MEMORY = Path("/dev/shm")


class _RulesetAttr(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def confine_to(spec: AnyRun) -> str:
    """Confine this process to what its spec names; return the seal, as `confine` does."""
    reads, writes = paths_of(spec)
    for directory in writes:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold rows and weights
    if isinstance(spec, IngestRun):
        limit_memory(spec.memory_bytes)
    return confine(reads, writes, devices=_devices_of(spec))


def paths_of(spec: AnyRun) -> tuple[list[Path], list[Path]]:
    """Return what a spec's child may read, and the directories below which it may write."""
    work_dir = Path(spec.work_dir)
    match spec:
        case IngestRun():
            reads = [Path(file.path) for file in spec.files]
            if spec.parent_dir is not None:
                reads += [Path(spec.parent_dir, f"{split}.parquet") for split in SPLITS]
            if spec.tokenizer is not None:
                reads.append(Path(spec.tokenizer))
            return reads, [work_dir]
        case FinetuneRun():
            # The files, not their directory: the test split lies beside them.
            reads = [Path(spec.train), Path(spec.validation), *_model(spec.base_model_dir)]
            if spec.resume_from is not None:
                reads.append(Path(spec.resume_from))
            return reads, [work_dir, Path(spec.cache_dir)]
        case EvaluateRun():
            learned = [path for paths in spec.lineage.values() for path in paths]
            named = [spec.model_dir, spec.rows, spec.train, spec.validation, spec.report, *learned]
            return [Path(path) for path in named if path is not None], [work_dir]
        case LabelIssuesRun():
            rows = [Path(path) for path in spec.rows.values()]
            model = [] if spec.base_model_dir is None else _model(spec.base_model_dir)
            return [*rows, *model], [work_dir]
        case EngineRun():
            return [Path(path) for path in spec.reads], [work_dir, Path(spec.socket).parent]
        case ReaderRun():
            models = [path for name in spec.base_models.values() for path in _model(name)]
            artifacts = [Path(path) for path in spec.reads]
            return [*models, *artifacts], [work_dir, Path(spec.socket).parent]


def confine(
    reads: Sequence[Path],
    writes: Sequence[Path],
    *,
    devices: Sequence[Path] = (),
    network: bool = False,
) -> str:
    """Leave this process the named paths, Python and the system's libraries; there is no way back.

    Returns the seal: `landlock-<abi>`, or `none` where the kernel has no Landlock (sockets of
    networks are refused even then). From ABI 4 on TCP is denied, from 6 on signals and abstract
    sockets to the outside, too.

    Raises:
        RuntimeError: there are threads already, which would stay free.
        OSError: a named path does not exist, or the kernel refuses a rule.
    """
    if thread_count() > 1:
        raise RuntimeError(f"{thread_count()} threads run already: they would not be confined")
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _drop_capabilities(libc)
    if not network:
        refuse_network_sockets(libc)
    abi = landlock_abi()
    if abi == 0:
        return "none"
    handled = sum(rights for since, rights in _RIGHTS_SINCE_ABI.items() if since <= abi)
    attributes = _RulesetAttr(
        handled_access_fs=handled,
        handled_access_net=0 if network or abi < 4 else _TCP_BIND_AND_CONNECT,
        scoped=0 if abi < 6 else _ABSTRACT_SOCKETS_AND_SIGNALS,
    )
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0))
    try:
        for rights, paths in (
            (_READ, reads),
            (_WRITE, writes),
            (_USE_DEVICE, devices),
            (_RUN, _existing((*_SYSTEM, *_python()))),
            (_READ, _existing(_SYSTEM_FACTS)),
            (_USE_DEVICE, _existing(_DEVICES)),
            (_WRITE, _existing([_SHARED_MEMORY])),
        ):
            for path in paths:
                _allow(libc, ruleset, path, rights & handled)
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return f"landlock-{abi}"


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel speaks, 0 for none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)))


def limit_memory(size_bytes: int) -> None:
    """Bound the address space: beyond it an allocation fails with MemoryError."""
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))


def thread_count() -> int:
    """Return how many threads this process has, those of native libraries included."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _model(directory: str) -> list[Path]:
    """Return a model's directory and what its links point at: hub caches keep files elsewhere."""
    path = Path(directory)
    return [path, *(entry.resolve() for entry in path.iterdir() if entry.is_symlink())]


def _devices_of(spec: AnyRun) -> list[Path]:
    device = spec.device if isinstance(spec, FinetuneRun | EvaluateRun | EngineRun) else "cpu"
    if not device.startswith("cuda"):
        return []
    # cuInit names its threads by writing to comm; where it can't, it fails.
    return [*Path("/dev").glob("nvidia*"), Path("/proc/self/task")]


def _python() -> list[Path]:
    """Return where the interpreter, installed packages and our own two packages lie.

    Not all of sys.path: its first entry may be the current directory, and that one the data's.
    """
    own = [Path(package.__path__[0]) for package in (tunery, tunery_trainer)]
    installed = [Path(path) for path in [*site.getsitepackages(), site.getusersitepackages()]]
    return [Path(sys.prefix), Path(sys.base_prefix), *installed, *own]


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Make root an ordinary user that may override file modes.

    Landlock knows neither kernel modules nor the clock, and a root with CAP_PERFMON reads its
    parent's /proc/<pid>/environ past it (Linux 6.18).
    """
    header = _CapabilityHeader(version=_CAPABILITY_VERSION)
    words = (_CapabilityData * 2)()
    _checked(libc.capget(ctypes.byref(header), words))
    kept = words[0].permitted & _DAC_OVERRIDE
    words[0] = _CapabilityData(effective=kept, permitted=kept)
    words[1] = _CapabilityData()
    _checked(libc.capset(ctypes.byref(header), words))


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if path.is_dir() else rights & _OF_FILES
        rule = _PathBeneathAttr(allowed_access=allowed, parent_fd=descriptor)
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"confinement: {os.strerror(number)}")
    return result
