"""Event files: the metrics of an attempt as TensorBoard reads them.

A file is a sequence of TFRecords, each an Event in protobuf. Written here, since four small
messages need no library: tensorboardX brings NumPy and protobuf into the supervisor (21 MB, 0.3 s),
and writes in a thread of its own, in which a full disk goes unseen.

Sources: tensorflow/core/lib/io/record_writer.h; tensorboard/compat/proto, event and summary.
"""

import logging
import math
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from tunery_trainer.protocol import manifest
from tunery_trainer.protocol.specs import AnyRun, FinetuneRun

logger = logging.getLogger(__name__)

_VERSION = b"brain.Event:2"  # from it on, a START takes back what stood before
_START = 1  # of SessionLog.SessionStatus
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types of protobuf
_MAX_FLOAT = 3.4e38  # a point is a float32
_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected; RFC 3720, B.4


class EventFile:
    """The event file of one attempt, made at its first metric; those of the others stand beside it.

    `after_step` is the step that the attempt goes on from, or -1: what earlier attempts logged of
    later steps is taken back, so that no step is drawn twice. TensorBoard reads the files of a
    directory in the order of their names, which is that of the attempts.
    """

    def __init__(self, directory: Path, *, attempt: int, after_step: int) -> None:
        self._path = directory / f"events.out.tfevents.{attempt:06d}"
        self._after_step = after_step
        self._size = 0  # bytes of whole records
        self._failing = False
        self._lock = threading.Lock()  # a write whose caller was cancelled goes on in its thread

    def write(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Append points, each a step and its metrics as in the events of a job.

        Points that the disk does not take are lost to TensorBoard; the database has them.
        """
        records = b"".join(_record(_point(point)) for point in points)
        if records:
            with self._lock:
                self._write(records)

    def _write(self, records: bytes) -> None:
        if not self._size:
            begun = _bytes(7, _key(1, _VARINT) + _varint(_START))
            version = _record(_event(0, _bytes(3, _VERSION)))
            records = version + _record(_event(self._after_step + 1, begun)) + records
        try:
            self._append(records)
        except OSError as error:
            if not self._failing:
                logger.warning("%s lacks points: %s", self._path, error.strerror)
            self._failing = True
        else:
            self._failing = False
            self._size += len(records)

    def _append(self, records: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("r+b" if self._size else "wb") as file:
            file.truncate(self._size)  # what a full disk left of a record
            file.seek(self._size)
            file.write(records)


def resumed_step(spec: AnyRun) -> int:
    """Return the step that an attempt goes on from, or -1 where it begins anew."""
    if not isinstance(spec, FinetuneRun) or spec.resume_from is None:
        return -1
    step = manifest.read(Path(spec.resume_from)).facts.get("step")
    return step if isinstance(step, int) else -1


def _point(point: Mapping[str, Any]) -> bytes:
    values = b"".join(
        _bytes(1, _bytes(1, name.encode()) + _key(2, _FLOAT) + struct.pack("<f", _number(value)))
        for name, value in point.items()
        if name != "step"
    )
    return _event(point["step"], _bytes(5, values))


def _event(step: int, content: bytes) -> bytes:
    written = _key(1, _DOUBLE) + struct.pack("<d", time.time())
    if step:  # protobuf leaves zeros out
        written += _key(2, _VARINT) + _varint(step % 2**64)
    return written + content


def _number(value: Any) -> float:
    spelled = cast("dict[str, Any]", value)["non_finite"] if isinstance(value, dict) else value
    number = float(spelled)
    return math.copysign(math.inf, number) if abs(number) > _MAX_FLOAT else number


def _bytes(number: int, content: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(content)) + content


def _key(number: int, kind: int) -> bytes:
    return bytes([number << 3 | kind])


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (crc >> 15 | crc << 17) + _MASK_DELTA & 0xFFFFFFFF)


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_crc_of_byte(byte) for byte in range(256)]
