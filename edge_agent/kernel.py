"""What is known of this computer: which it is, which boot, whether its clock is kept right."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.ids import new_stream_id
from edge_agent.machine import machine_id

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STA_UNSYNC: Final = 0x40
TIME_ERROR: Final = 5


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2), 64-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


@dataclass(frozen=True, slots=True)
class ClockState:
    """Whether somebody (NTP, mostly) keeps the clock right, and its largest error in µs."""

    synchronised: bool
    error_us: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """``boot`` names the computer's boot: its monotonic times go on until the next one.

    ``synchronised``: whether the wall clock is kept right now. ``machine``: ``machine_id``.
    """

    boot: str
    synchronised: Callable[[], bool]
    machine: str = ""


def ask_clock() -> ClockState:
    """What adjtimex(2) says; writes nothing. OSError when it cannot be asked."""
    state = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except AttributeError as error:
        raise OSError("this system has no adjtimex") from error
    if answer < 0:
        raise OSError("the kernel does not say")
    synchronised = answer != TIME_ERROR and not state.status & STA_UNSYNC
    return ClockState(synchronised, state.maxerror)


def this_kernel(boot_id: Path = BOOT_ID) -> Kernel:
    """That of this computer. Where it names no boot, each start of the agent is one."""
    try:
        boot = boot_id.read_text("ascii").strip()
    except OSError:
        boot = new_stream_id()
    return Kernel(boot, _is_synchronised, machine_id())


def unsynchronised() -> Kernel:
    """One that nobody keeps right, in a boot of its own."""
    return Kernel(new_stream_id(), lambda: False)


def _is_synchronised() -> bool:
    try:
        return ask_clock().synchronised
    except OSError:
        return False
