"""The machine: its clock and the programs on it."""

import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common.clock import to_datetime
from edge_agent.doctor.finding import Finding, bad, good, unknown, warning
from edge_agent.gateway_clock import NOT_AFTER_MS, NOT_BEFORE_MS
from edge_agent.kernel import ask_clock

PACKAGES = ("inmetter", "aiomqtt", "paho-mqtt", "pymodbus", "pyserial", "msgspec")
CLOCKS = Path("/sys/class/rtc")


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
    if NOT_BEFORE_MS <= now_ms <= NOT_AFTER_MS:
        return good("clock", f"says {now}")
    return bad(
        "clock",
        f"this gateway's clock is not set: it says {now}",
        "give it a network with NTP: timedatectl set-ntp true. Until it or the cloud says what "
        "time it is, readings wait to be dated and orders are refused",
    )


def _synchronised() -> Finding:
    try:
        state = ask_clock()
    except OSError as error:
        return unknown("time source", f"cannot be asked: {error}", "look at timedatectl status")
    if not state.synchronised:
        return warning(
            "time source",
            "nothing keeps the clock right; while there is a connection, the cloud's time is taken",
            "install and start chrony or systemd-timesyncd, and let UDP port 123 out",
        )
    return good("time source", f"in step, within {state.error_us / 1000:.0f} ms")


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
