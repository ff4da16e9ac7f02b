"""The conservation check names what a gateway's readings lack, and nothing else."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from edge_agent.simulators.conservation import Balance, Indexed, check_site
from edge_agent.simulators.scenario import load_site
from edge_agent.simulators.site import SimulatedSite
from edge_agent.simulators.truth import Truth

ORIGIN_MS = 1_767_571_200_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

TEXT = """
seed = "books"
origin = 2026-01-05T00:00:00Z
until = 2026-01-05T10:00:00Z

[[source]]
key = "flow"
series = "standard_household"
scale = 1

[[source]]
key = "back"
series = "steady"
base = 300
from = "2h"
until = "3h"
back = true

[[meter]]
key = "water"
medium = "cold_water"
start = 70_000
sources = ["flow", "back"]

[[meter]]
key = "power"
medium = "electricity"
start = 9_000
sources = ["flow", "back"]

[[c11do1eth]]
device = "module"
server = "127.0.0.1:7700"
key_file = "key"
meter = "water"
weight = 10
modulus = 100_000

[[mbus]]
listen = "127.0.0.1:0"
address = 1
identification = "12345678"
meter = "water"
key = "bus"

[[modbus]]
listen = "127.0.0.1:0"
unit = 1
profile = "abb_b23"
meter = "power"
key = "lan"
"""

Read = Callable[[int], int]


class Books:
    """A site whose devices are read every minute until an hour after its world's end."""

    def __init__(self, folder: Path, faults: str, text: str = TEXT) -> None:
        (folder / "key").write_text("a secret of the tests\n")
        path = folder / "scenario.toml"
        path.write_text(text + faults)
        self.site = load_site(path)
        self.clock = ManualClock(ORIGIN_MS + 11 * HOUR_MS)
        self.simulated = SimulatedSite(self.site, self.clock)
        self.truth = folder / "truth.json"

    def mirrored(self, device: str) -> list[Indexed]:
        """As a gateway reads a meter: what it shows."""
        one = self.simulated.devices[device]
        digits, step = one.meter.small_decimals, one.resolution
        return [
            Indexed(at, Decimal(one.counter.count(at) // step * step).scaleb(-digits))
            for at in self.times()
        ]

    def bridged(self, modulus: int | None = None) -> list[Indexed]:
        """As a gateway counts a module's pulses: the total never goes back."""
        count, total, last, found = self.simulated.devices["module"].counter.count, None, 0, []
        for at in self.times():
            raw = count(at)
            if total is None:
                total = raw
            elif raw >= last:
                total += raw - last
            elif modulus:
                total += raw - last + modulus
            last = raw
            found.append(Indexed(at, Decimal(70_000 + total * 10).scaleb(-3)))
        return found

    def times(self) -> range:
        return range(ORIGIN_MS + 5000, ORIGIN_MS + 11 * HOUR_MS, MINUTE_MS)

    def check(self, device: str, readings: list[Indexed]) -> Balance:
        Truth(self.truth, self.site.world, self.simulated.devices, self.clock).write()
        found = check_site(self.site, self.truth, {device: readings})
        balance = next(one for one in found if one.device == device)
        if balance.stored is not None and balance.unexplained is not None:
            named = sum(one.amount for one in balance.differences)
            assert balance.consumed == balance.stored + named + balance.unexplained
        return balance


def fault(kind: str, on: str, at: str, more: str = "") -> str:
    return f'[[fault]]\nkind = "{kind}"\non = "{on}"\nat = "{at}"\n{more}\n'


def names(balance: Balance) -> dict[str, Decimal]:
    return {one.name: one.amount for one in balance.differences}


def test_without_faults_only_resolution_and_back_flow_are_between(tmp_path: Path) -> None:
    books = Books(tmp_path, "")
    module = books.check("module", books.bridged())
    assert module.explained
    assert set(names(module)) <= {"resolution"}
    bus = books.check("bus", books.mirrored("bus"))
    assert bus.explained
    assert names(bus)["back flow"] == Decimal("0.3")
    lan = books.check("lan", books.mirrored("lan"))
    assert lan.explained
    assert set(names(lan)) <= {"resolution"}


def test_an_exchange_and_a_reset_are_named_with_their_amounts(tmp_path: Path) -> None:
    faults = fault("exchange", "bus", "4h", "start = 500") + fault("reset", "lan", "5h")
    books = Books(tmp_path, faults)
    for device, name in (("bus", "exchange"), ("lan", "reset")):
        balance = books.check(device, books.mirrored(device))
        assert balance.explained
        (jump,) = books.simulated.devices[device].counter.jumps(books.clock.now_ms())
        meter = books.simulated.devices[device].meter
        assert names(balance)[name] == Decimal(jump.before - jump.after).scaleb(
            -meter.small_decimals
        )


def test_what_is_not_counted_before_a_reset_is_named(tmp_path: Path) -> None:
    books = Books(tmp_path, fault("reset", "module", "4h"))
    balance = books.check("module", books.bridged())
    assert balance.explained
    found = names(balance)
    assert found["reset"] == -found["reset bridged"]
    count = books.simulated.devices["module"].meter.pulses
    last, first = ORIGIN_MS + 4 * HOUR_MS - 55_000, ORIGIN_MS + 4 * HOUR_MS + 5000
    lost = count(first, 10_000) - count(last, 10_000)
    assert found["reset not counted"] == Decimal(lost) / 100


@pytest.mark.parametrize("known", [True, False])
def test_a_rollover_costs_nothing_if_the_gateway_knows_the_range(
    tmp_path: Path, known: bool
) -> None:
    books = Books(tmp_path, fault("rollover", "module", "4h"))
    balance = books.check("module", books.bridged(100_000 if known else None))
    assert balance.explained
    found = names(balance)
    assert found["rollover"] == -found["rollover bridged"] == 1000
    assert ("rollover not counted" in found) is not known


def test_a_power_cut_is_named_with_what_came_while_it_lasted(tmp_path: Path) -> None:
    books = Books(tmp_path, fault("power_cut", "module", "4h", 'for = "2h"'))
    balance = books.check("module", books.bridged())
    assert balance.explained
    count = books.simulated.devices["module"].meter.pulses
    lost = count(ORIGIN_MS + 6 * HOUR_MS, 10_000) - count(ORIGIN_MS + 4 * HOUR_MS, 10_000)
    assert names(balance)["power cut"] == Decimal(lost) / 100 > 0


def test_what_the_cloud_has_not_yet_is_in_flight(tmp_path: Path) -> None:
    books = Books(tmp_path, "")
    readings = [one for one in books.bridged() if one.at_ms < ORIGIN_MS + 3 * HOUR_MS]
    balance = books.check("module", readings)
    assert balance.explained
    assert names(balance)["in flight"] > 1


def test_a_cloud_that_has_nothing_is_not_explained(tmp_path: Path) -> None:
    books = Books(tmp_path, "")
    balance = books.check("module", [])
    assert (balance.stored, balance.unexplained) == (None, None)
    assert not balance.explained


@pytest.mark.parametrize("wrong", [Decimal("0.01"), Decimal("-0.01"), Decimal(5), Decimal(-5)])
@pytest.mark.parametrize("faults", ["", fault("reset", "module", "4h")])
def test_a_single_pulse_too_much_or_too_little_is_found(
    tmp_path: Path, wrong: Decimal, faults: str
) -> None:
    books = Books(tmp_path, faults)
    half = ORIGIN_MS + 8 * HOUR_MS
    readings = [
        Indexed(one.at_ms, one.value + wrong * (one.at_ms > half)) for one in books.bridged()
    ]
    balance = books.check("module", readings)
    assert not balance.explained
    assert balance.unexplained == -wrong


def test_a_truth_that_is_none_or_of_another_scenario_is_a_mistake(tmp_path: Path) -> None:
    books = Books(tmp_path, "")
    with pytest.raises(ConfigError, match=r"truth\.json: cannot read the truth"):
        check_site(books.site, books.truth, {})
    books.truth.write_text("{}")
    with pytest.raises(ConfigError, match=r"truth\.json: cannot read the truth"):
        check_site(books.site, books.truth, {})


def test_a_register_that_ends_by_nature_is_a_rollover(tmp_path: Path) -> None:
    """An M-Bus water meter of ours has eight digits of litres."""
    books = Books(tmp_path, "", TEXT.replace("start = 70_000", "start = 99_997_000"))
    balance = books.check("bus", books.mirrored("bus"))
    assert balance.explained
    assert names(balance)["rollover"] == 100_000
    assert balance.registered < 0 < balance.consumed
