"""Every profile reads what its device's published map says: addresses, types, orders, units."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from edge_agent.profiles.modbus import load_profile, profile_names

MAPS = Path(__file__).parents[1] / "vectors" / "modbus_maps.txt"
FORMATS = {
    "u16": ">H",
    "s16": ">h",
    "u32": ">I",
    "s32": ">i",
    "u64": ">Q",
    "s64": ">q",
    "f32": ">f",
    "f64": ">d",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a map."""

    key: str
    address: int
    kind: str
    worth: Decimal


def maps() -> dict[str, tuple[int, str, list[Line]]]:
    """Function, order and lines by profile."""
    found: dict[str, tuple[int, str, list[Line]]] = {}
    lines: list[Line] = []
    for text in MAPS.read_text("utf-8").splitlines():
        if text.startswith("["):
            names, _, rest = text[1:].partition("] ")
            function, order = rest.split()
            lines = []
            found |= dict.fromkeys(names.split(), (int(function), order, lines))
        elif text and not text.startswith("#"):
            lines += _lines(*text.split())
    return found


def _lines(key: str, place: str, kind: str, worth: str) -> Iterator[Line]:
    first, _, step = place.partition("+")
    if not step:
        yield Line(key, int(first, 0), kind, Decimal(worth))
        return
    for phase in range(3):
        address = int(first, 0) + phase * int(step)
        yield Line(f"{key}{phase + 1}", address, kind, Decimal(worth))


KNOWN = maps()


def test_every_profile_has_its_map() -> None:
    sunspec = {name for name in profile_names() if load_profile(name).sunspec}
    assert KNOWN.keys() == set(profile_names()) - sunspec


@pytest.mark.parametrize("name", KNOWN)
def test_a_profile_reads_what_the_map_says(name: str) -> None:
    function, order, lines = KNOWN[name]
    profile = load_profile(name)
    memory: dict[int, int] = {}
    expected: dict[str, Decimal] = {}
    for number, line in enumerate(lines, 1):
        count = number * 0.25 if line.kind[0] == "f" else number * 1009 % 30000
        data = struct.pack(FORMATS[line.kind], count)
        words = struct.unpack(f">{len(data) // 2}H", data)
        words = words[::-1] if order == "CDAB" else words
        memory |= dict(enumerate(words, line.address))
        expected[line.key] = Decimal(str(count)) * line.worth
    if "energy_import_t1" in expected:
        for way in ("import", "export"):
            tariffs = (expected[f"energy_{way}_t1"], expected[f"energy_{way}_t2"])
            expected[f"energy_{way}"] = sum(tariffs, start=Decimal(0))
    cells: dict[tuple[int, int], int] = {}
    for request in profile.requests:
        assert request.function == function
        span = request.span
        cells |= {(function, at): memory.get(at, 0xDEAD) for at in range(span.address, span.end)}
    assert {m.key: m.value for m in profile.decode(cells)} == expected
