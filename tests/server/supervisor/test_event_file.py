"""Event files: the bytes that TensorBoard's own writer makes, and a disk that takes none."""

import logging
import struct
import time
from pathlib import Path

import pytest

from tunery_server.supervisor.event_file import EventFile

# Written by RecordWriter of tensorboard 2.21: the version, a START at step 21, two metrics of step
# 300, all at 1.5 s.
WRITTEN_BY_TENSORBOARD = bytes.fromhex(
    "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c0f00000000000000"
    "6d532b0909000000000000f83f10153a020801768d7cfc2d000000000000003c418afb09000000000000f83f10ac022a"
    "1f0a0b0a046c6f7373150000803e0a100a09677261645f6e6f726d150000807f0e415258"
)
NAME = "events.out.tfevents.000002"


def records(content: bytes) -> int:
    """Return how many records a file holds, all of them whole."""
    count = at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        at += length + 16  # eight of the length, four of each checksum
        count += 1
    assert at == len(content)
    return count


def test_an_event_file_is_what_tensorboard_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.5)
    file = EventFile(tmp_path / "logs", attempt=2, after_step=20)

    file.write([{"step": 300, "loss": 0.25, "grad_norm": {"value": None, "non_finite": "inf"}}])

    assert (tmp_path / "logs" / NAME).read_bytes() == WRITTEN_BY_TENSORBOARD


def test_an_attempt_without_metrics_leaves_no_file(tmp_path: Path) -> None:
    EventFile(tmp_path, attempt=2, after_step=-1).write([])

    assert list(tmp_path.iterdir()) == []


def test_a_number_beyond_single_precision_is_an_infinity(tmp_path: Path) -> None:
    EventFile(tmp_path, attempt=2, after_step=-1).write([{"step": 1, "loss": -1e300}])

    assert struct.pack("<f", float("-inf")) in (tmp_path / NAME).read_bytes()


def test_a_disk_that_takes_nothing_is_no_error_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_bytes(b"no directory")
    file = EventFile(tmp_path / "logs", attempt=2, after_step=-1)

    with caplog.at_level(logging.WARNING):
        file.write([{"step": 1, "loss": 1.0}])
        file.write([{"step": 2, "loss": 1.0}])

    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_torn_record_is_taken_back_when_there_is_room_again(tmp_path: Path) -> None:
    file = EventFile(tmp_path, attempt=2, after_step=-1)
    file.write([{"step": 1, "loss": 1.0}])
    with (tmp_path / NAME).open("ab") as torn:
        torn.write(b"\x2d\x00\x00")

    file.write([{"step": 2, "loss": 1.0}])

    assert records((tmp_path / NAME).read_bytes()) == 4
