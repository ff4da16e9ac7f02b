"""The machine: its clock and the programs on it."""

import ctypes
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common.clock import to_datetime
from edge_agent.doctor.finding import Finding, bad, good, unknown, warning
from edge_agent.metering.scaling import EARLIEST_MS

PACKAGES = ("inmetter", "aiomqtt", "paho-mqtt", "pymodbus", "pyserial", "msgspec")
CLOCKS = Path("/sys/class/rtc")
STA_UNSYNC = 0x40


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


def check_host(now_ms: int, clocks: Path = CLOCKS) -> Iterator[Finding]:
    """The clock, and the versions."""
    yield _year(now_ms)
    yield _synchronised()
    if clocks.exists() and any(clocks.iterdir()):
        yield good("battery clock", "there is one")
    else:
        yield warning(
            "battery clock",
            "there is none",
            "after a power cut the time is unknown until the network gives it; readings taken "
            "meanwhile are marked so",
        )
    yield _versions()


def _year(now_ms: int) -> Finding:
    now = f"{to_datetime(now_ms):%Y-%m-%d %H:%M:%S} UTC"
    if now_ms < EARLIEST_MS:
        return bad("clock", f"says {now}", "set it: timedatectl set-ntp true")
    return good("clock", f"says {now}")


def _synchronised() -> Finding:
    try:
        state = _Timex()
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError) as error:
        return unknown("time source", f"cannot be asked: {error}", "look at timedatectl status")
    if answer < 0:
        return unknown("time source", "the kernel does not say", "look at timedatectl status")
    if state.status & STA_UNSYNC:
        return warning(
            "time source",
            "nothing keeps the clock right",
            "install and start chrony or systemd-timesyncd, and let UDP port 123 out",
        )
    return good("time source", f"in step, within {state.maxerror / 1000:.0f} ms")


def _versions() -> Finding:
    def of(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"{package} not there"

    found = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    found += [of(package) for package in PACKAGES]
    missing = [one for one in found if one.endswith("not there")]
    text = ", ".join(found)
    if missing:
        return bad("versions", text, "install the package inmetter[edge] anew")
    return good("versions", text)
