"""Socket filter: a seccomp program that leaves a process Unix sockets only.

Landlock denies TCP alone; UDP would still carry rows away, a datagram at a time. io_uring, which
makes sockets without the system call that is filtered, is refused as if the kernel had none.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html, linux/filter.h, linux/audit.h.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
from typing import NamedTuple

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_IO_URING_SETUP = 425  # the same on every architecture
_NEWER_ABI_BIT = 0x40000000  # x32 calls on x86_64 have numbers of their own

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO


class _Machine(NamedTuple):
    audit_architecture: int
    socket_call: int


_MACHINES = {
    "x86_64": _Machine(audit_architecture=0xC000003E, socket_call=41),
    "aarch64": _Machine(audit_architecture=0xC00000B7, socket_call=198),
}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def refuse_network_sockets(libc: ctypes.CDLL) -> bool:
    """Let `socket` make Unix sockets only; return False where the machine is not known.

    Needs no_new_privs. Other families answer EACCES, as Landlock's denials do.

    Raises:
        OSError: the kernel refuses the filter.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    instructions = b"".join(struct.pack("<HBBI", *each) for each in _instructions(machine))
    program = _Program(len(instructions) // 8, instructions)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
    return True


def _instructions(machine: _Machine) -> list[tuple[int, int, int, int]]:
    """Return (code, skip if true, skip if false, operand) of each instruction."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, 8, machine.audit_architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_ANY_BIT, 6, 0, _NEWER_ABI_BIT),
        (_JUMP_EQUAL, 5, 0, _IO_URING_SETUP),
        (_JUMP_EQUAL, 0, 2, machine.socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | errno.EACCES),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
