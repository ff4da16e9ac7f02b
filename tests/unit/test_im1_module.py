"""The registers of a configured module, and what a configuration may not say."""

from decimal import Decimal
from fractions import Fraction

import pytest

from common.clock import ManualClock
from common.errors import ConfigError
from common.registers import Kind, Medium
from edge_agent.drivers.c11do1eth import C11Module, Output
from edge_agent.metering.pulses import measure
from edge_agent.protocols.c11do1eth import Cause, Clock, Reason, Rec
from edge_agent.protocols.c11do1eth import Timeline as Dates

SECRET = b"0123456789abcdef"


def configured(
    medium: Medium, weight: Fraction, start: str = "0", secret: bytes = SECRET
) -> C11Module:
    return C11Module(
        "m1", secret, medium=medium, weight=weight, start_index=Decimal(start), clock=ManualClock(0)
    )


def record(**changes: int) -> Rec:
    numbers = {"boot": 1, "at_ms": 5, "uptime_ms": 5, "total": 1234, "delta": 9} | changes
    return Rec(
        "m1", 1, numbers["boot"], numbers["at_ms"], Clock(("U", "S")[numbers.get("synced", 1)]),
        numbers["uptime_ms"], 900, numbers["total"], numbers["delta"], 0, 1, 0,
        Reason.TIMED, Cause.NONE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("medium", "weight", "kinds", "decimals", "obis"),
    [
        (Medium.COLD_WATER, Fraction(1, 100), (Kind.VOLUME, Kind.FLOW), 3, "8-0:1.0.0"),
        (Medium.HOT_WATER, Fraction(1, 10_000), (Kind.VOLUME, Kind.FLOW), 4, "9-0:1.0.0"),
        (Medium.GAS, Fraction(1, 3), (Kind.VOLUME, Kind.FLOW), 6, "7-0:3.0.0"),
        (Medium.ELECTRICITY, Fraction(1), (Kind.ENERGY_IMPORT, Kind.POWER), 0, "1-0:1.8.0"),
        (Medium.ELECTRICITY, Fraction(1, 10), (Kind.ENERGY_IMPORT, Kind.POWER), 1, "1-0:1.8.0"),
        (Medium.OTHER, Fraction(1), (Kind.VOLUME, Kind.FLOW), 3, None),
    ],
)
def test_the_registers_follow_from_medium_and_weight(
    medium: Medium, weight: Fraction, kinds: tuple[Kind, Kind], decimals: int, obis: str | None
) -> None:
    index, rate = configured(medium, weight).registers
    assert (index.kind, rate.kind) == kinds
    assert (index.decimals, index.obis) == (decimals, obis)
    assert index.interval_s == 900


def test_an_output_is_a_register_that_can_be_set() -> None:
    module = C11Module(
        "m1", SECRET, medium=Medium.COLD_WATER, weight=Fraction(1), clock=ManualClock(0),
        output=Output("roof", "roof panels", ("shut", "open")),
    )  # fmt: skip
    roof = module.registers[-1]
    assert (roof.kind, roof.states, roof.writable) == (Kind.OUTPUT, ("shut", "open"), True)


def test_a_record_measures_every_register_of_a_module() -> None:
    module = configured(Medium.ELECTRICITY, Fraction(1, 10), "1000000")
    index, power = measure(module, record(), time_ok=True)
    assert (index.value, index.raw) == (Decimal("1000123.4"), 1234)
    assert (power.value, power.raw) == (Decimal("3.6"), 9)


@pytest.mark.parametrize(
    ("weight", "start", "secret"),
    [
        (Fraction(0), "0", SECRET),
        (Fraction(-1), "0", SECRET),
        (Fraction(1), "-0.1", SECRET),
        (Fraction(1), "NaN", SECRET),
        (Fraction(1), "0", b"xyzzy"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    weight: Fraction, start: str, secret: bytes
) -> None:
    with pytest.raises(ConfigError) as wrong:
        configured(Medium.GAS, weight, start, secret)
    assert secret.decode() not in str(wrong.value)


def test_an_item_is_dated_only_by_its_own_boot_and_only_when_it_has_no_time() -> None:
    dates = Dates()
    undated = record(boot=1, at_ms=0, uptime_ms=300, synced=0)
    assert dates.place(undated).at_ms == 0
    synced = record(boot=1, at_ms=10_000, uptime_ms=1_000)
    assert dates.place(synced) is synced
    assert dates.place(undated).at_ms == 9_300
    assert dates.place(record(boot=2, at_ms=0, synced=0)).at_ms == 0
    assert dates.place(record(boot=1, at_ms=77, synced=0)).at_ms == 77


def test_items_are_dated_by_the_first_synced_one_in_whatever_order_they_come() -> None:
    dates = Dates()
    dates.place(record(boot=1, at_ms=1_000_900, uptime_ms=1_000_000))
    dates.place(record(boot=1, at_ms=100_000, uptime_ms=100_000))
    dates.place(record(boot=1, at_ms=2_000_900, uptime_ms=2_000_000))
    assert dates.place(record(boot=1, at_ms=0, uptime_ms=300, synced=0)).at_ms == 300


def test_a_boot_number_that_is_given_anew_forgets_the_old_time() -> None:
    dates, day = Dates(), 86_400_000
    dates.place(record(boot=1, at_ms=day, uptime_ms=1_000))
    dates.place(record(boot=1, at_ms=9 * day, uptime_ms=60_000))
    assert dates.place(record(boot=1, at_ms=0, uptime_ms=300, synced=0)).at_ms == 9 * day - 59_700
