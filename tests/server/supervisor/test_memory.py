"""Memory: limits of nested cgroups, what processes hold, what engines may."""

import os
from pathlib import Path

import pytest

from tunery_server.settings import Settings
from tunery_server.supervisor.memory import (
    cgroup_limits,
    device_bytes,
    engine_budget,
    process_bytes,
)

GIB = 1 << 30


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own"


def test_every_cgroup_above_a_process_limits_it(own: Path, tmp_path: Path) -> None:
    own.write_text("0::/system.slice/tunery.service\n")
    service = tmp_path / "system.slice" / "tunery.service"
    service.mkdir(parents=True)
    (service / "memory.max").write_text("max\n")
    (service.parent / "memory.max").write_text(f"{2 * GIB}\n")

    assert list(cgroup_limits(own, tmp_path)) == [2 * GIB]


def test_a_container_that_does_not_see_its_path_reads_the_root(own: Path, tmp_path: Path) -> None:
    own.write_text("9:name=systemd:/docker/1f\n4:cpu,memory:/docker/1f\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{GIB}\n")

    assert list(cgroup_limits(own, tmp_path)) == [GIB]


def test_a_process_holds_something_and_one_that_is_gone_nothing() -> None:
    assert 10_000_000 < process_bytes(os.getpid()) < device_bytes("cpu")
    assert process_bytes(2**22 + 1) == 0


def test_the_budget_is_a_share_of_the_device_or_so_many_bytes() -> None:
    whole = device_bytes("cpu")

    assert engine_budget(Settings(engine_memory=1.0)) == whole
    assert engine_budget(Settings(engine_memory=0.25)) == whole // 4
    assert engine_budget(Settings(engine_memory=5e8)) == 500_000_000
    assert engine_budget(Settings(engine_memory=0)) == 0
