"""The energy of gas: exact, by the factors of the local day, missing where there are none."""

from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.domain.gas_energy import (
    CalorificValue,
    GasArea,
    GasPoint,
    GasState,
    GasUse,
    check_area,
    check_point,
    energy_of,
    energy_usage,
    factors_by_day,
    gas_uses,
    state_number,
)
from cloud.domain.usage import Usage
from common.errors import ConfigError
from tests.unit.tariff_parts import BUCHAREST, hours

D = Decimal
NEW_YEAR, MARCH, APRIL = date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 1)
DAY = timedelta(days=1)
HS = [
    CalorificValue(valid_from=NEW_YEAR, hs=D("11.302")),
    CalorificValue(valid_from=MARCH, hs=D("11.28"), preliminary=True),
    CalorificValue(valid_from=APRIL + DAY, hs=D("11.1"), valid_until=date(2026, 5, 1)),
]
STATES = (GasState(valid_from=NEW_YEAR, z=D("0.9674"), area="valley"),)


def area_of(*values: CalorificValue) -> GasArea:
    return GasArea(key="valley", name="Valley", values=values or tuple(HS))


FACTORS = factors_by_day(GasPoint(states=STATES), {"valley": area_of()})


@pytest.mark.parametrize(
    ("altitude", "pressure", "z"),
    [
        # Published: air of 1012.04 mbar, as at 33 m, with 22 mbar above it.
        ("33", "22", "0.9674"),
        # By hand: 273.15 / 288.15 * (1016 - 0.12 * 400 + 22) / 1013.25 = 0.926196…
        ("400", "22", "0.9262"),
        ("33", "50", "0.9936"),
    ],
)
def test_the_state_number_is_that_of_the_published_example(
    altitude: str, pressure: str, z: str
) -> None:
    assert state_number(D(altitude), D(pressure)) == D(z)


def test_gas_at_standard_conditions_is_not_changed() -> None:
    assert state_number(D(0), D(0), D(0)) == D("1.0027")  # the air of G 685 at sea level
    assert state_number(D(0), D("1013.25") * 16 - 1016, D(0)) == D(16)
    assert state_number(D(0), D("1013.25") * 16 - 1016, D(0), D("0.8")) == D(20)


@pytest.mark.parametrize("altitude", ["-501", "5001"])
def test_an_altitude_that_nobody_lives_at_has_no_state_number(altitude: str) -> None:
    with pytest.raises(ConfigError, match="altitude_m"):
        state_number(D(altitude), D(22))


def test_the_factors_of_a_day_are_those_in_force_on_it() -> None:
    assert FACTORS(NEW_YEAR - DAY) is None
    assert [
        (one.z, one.hs, one.preliminary) for day in (MARCH - DAY, MARCH) if (one := FACTORS(day))
    ] == [(D("0.9674"), D("11.302"), False), (D("0.9674"), D("11.28"), True)]
    assert FACTORS(date(2026, 4, 30)) is not None
    assert FACTORS(date(2026, 5, 1)) is None


def test_a_use_across_a_change_of_hs_is_by_the_local_day_on_both_sides() -> None:
    usage = hours("2026-02-28 00:00", "2026-03-02 00:00", D("0.5"))
    assert gas_uses(usage, FACTORS, BUCHAREST) == (
        GasUse(
            MARCH - DAY,
            MARCH,
            D(12),
            D("0.9674"),
            D("11.302"),
            "valley",
            False,
            12 * D("10.9335548"),
        ),
        GasUse(
            MARCH, MARCH + DAY, D(12), D("0.9674"), D("11.28"), "valley", True, 12 * D("10.912272")
        ),
    )


def test_a_day_without_factors_is_told_and_leaves_no_sum() -> None:
    usage = hours("2025-12-31 00:00", "2026-01-02 00:00", D(1))
    first, second = gas_uses(usage, FACTORS, BUCHAREST)
    assert (first.start, first.end, first.volume, first.energy) == (
        NEW_YEAR - DAY,
        NEW_YEAR,
        D(24),
        None,
    )
    assert energy_of([second]) == second.energy is not None
    assert energy_of([first, second]) is None
    assert energy_of([]) is None
    assert [one.quantity is None for one in energy_usage(usage, FACTORS, BUCHAREST)] == (
        [True] * 24 + [False] * 24
    )


def test_a_day_without_a_volume_needs_no_factors() -> None:
    usage = hours("2025-12-31 00:00", "2026-01-01 00:00", None)
    assert gas_uses(usage, FACTORS, BUCHAREST) == ()


def test_energy_of_a_preliminary_hs_is_estimated() -> None:
    usage = hours("2026-02-28 23:00", "2026-03-01 01:00", D(1))
    assert [one.estimated for one in energy_usage(usage, FACTORS, BUCHAREST)] == [False, True]


volumes = st.none() | st.decimals(0, 10**6, places=3)
numbers = st.decimals("0.0001", 40, places=4)


@given(
    quantities=st.lists(volumes, min_size=24 * 3, max_size=24 * 3),
    hs=st.lists(numbers, min_size=3, max_size=3),
    z=numbers,
    zone=st.sampled_from(["UTC", "Europe/Bucharest", "America/St_Johns"]),
)
def test_the_energy_of_all_is_that_of_its_hours_and_of_its_days(
    quantities: list[Decimal | None], hs: list[Decimal], z: Decimal, zone: str
) -> None:
    where = ZoneInfo(zone)
    usage = [
        Usage(one.start, one.end, quantity)
        for one, quantity in zip(
            hours("2026-03-27 00:00", "2026-03-30 12:00", zone=where), quantities, strict=False
        )
    ]
    values = [CalorificValue(valid_from=date(2026, 3, 27 + n), hs=one) for n, one in enumerate(hs)]
    state = GasState(valid_from=NEW_YEAR, z=z, area="valley")
    factors = factors_by_day(GasPoint(states=(state,)), {"valley": area_of(*values)})
    uses = gas_uses(usage, factors, where)
    whole = energy_of(uses)
    by_hour = [one.quantity for one in energy_usage(usage, factors, where)]
    known = [one for one in by_hour if one is not None]
    assert whole == (sum(known) / 1000 if known else None)
    days = sorted({one.start.astimezone(where).date() for one in usage})
    by_day = [
        energy_of(
            gas_uses([u for u in usage if u.start.astimezone(where).date() == day], factors, where)
        )
        for day in days
    ]
    assert whole == (sum(one for one in by_day if one is not None) if known else None)
    assert sum(one.volume for one in uses) == sum(one for one in quantities[: len(usage)] if one)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ([], "0 values; 1 to 500"),
        ([CalorificValue(valid_from=NEW_YEAR, hs=D(0))], "hs of 2026-01-01 is 0; write it in kWh"),
        ([CalorificValue(valid_from=NEW_YEAR, hs=D("40.8"))], "at most 40"),
        ([CalorificValue(valid_from=NEW_YEAR, hs=D("NaN"))], "is NaN"),
        ([CalorificValue(valid_from=NEW_YEAR, hs=D("1E-9"))], "8 decimals"),
        ([HS[0], HS[0]], "two of 2026-01-01"),
        ([CalorificValue(valid_from=NEW_YEAR, valid_until=NEW_YEAR, hs=D(11))], "not after"),
        (
            [CalorificValue(valid_from=NEW_YEAR, valid_until=APRIL, hs=D(11)), HS[1]],
            "overlaps that of 2026-03-01",
        ),
    ],
)
def test_an_area_that_cannot_be_used_is_refused(values: list[CalorificValue], wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        check_area(GasArea(key="valley", name="Valley", values=tuple(values)))


def test_an_area_and_a_point_that_can_be_used_are_taken() -> None:
    check_area(area_of())
    check_point(GasPoint(states=STATES))
    check_point(GasPoint())


@pytest.mark.parametrize("z", ["0", "-1", "201", "Infinity"])
def test_a_state_number_that_cannot_be_is_refused(z: str) -> None:
    with pytest.raises(ConfigError, match=r"z of 2026-01-01.*0\.9674"):
        check_point(GasPoint(states=(GasState(valid_from=NEW_YEAR, z=D(z), area="valley"),)))


def test_two_states_of_one_day_are_refused() -> None:
    with pytest.raises(ConfigError, match="gas: two of 2026-01-01"):
        check_point(GasPoint(states=STATES * 2))
