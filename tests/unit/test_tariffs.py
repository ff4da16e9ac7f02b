"""Tariffs: what is taken, what is refused, and what a person is told."""

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.tariff_check import MAX_CHARGES, MAX_PARTS, MAX_VERSIONS, check, open_tariff
from cloud.domain.tariffs import (
    UNITS,
    WEEKDAYS,
    Band,
    Block,
    Blocks,
    Charge,
    Fixed,
    PerUnit,
    Standing,
    Tariff,
    TimeOfUse,
    Version,
    Weekday,
)
from common.errors import ConfigError, Permanent
from common.registers import KINDS, Kind

D = Decimal
ENERGY = PerUnit(name="Energy", price=D("0.25"))
WORKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")


def _tariff(*charges: Charge, unit: str = "kWh", currency: str = "EUR") -> Tariff:
    version = Version(valid_from=date(2026, 1, 1), charges=charges or (ENERGY,))
    return _of(version, unit=unit, currency=currency)


def _of(*versions: Version, unit: str = "kWh", currency: str = "EUR") -> Tariff:
    return Tariff(key="home", name="Home", currency=currency, unit=unit, versions=versions)


def _version(valid_from: date, valid_until: date | None = None) -> Version:
    return Version(valid_from=valid_from, valid_until=valid_until, charges=(ENERGY,))


def _blocks(*blocks: Block, per: Literal["month", "day"] = "month") -> Blocks:
    return Blocks(name="Water", blocks=blocks, per=per)


def _night(**changes: object) -> TimeOfUse:
    band = Band(name="night", price=D("0.12"), start="22:00", end="06:00")
    changed = msgspec.structs.replace(band, **changes)
    return TimeOfUse(name="Energy", bands=(changed,), price=D("0.25"))


def _refusal(tariff: Tariff) -> str:
    with pytest.raises(ConfigError) as caught:
        check(tariff)
    return str(caught.value)


WHOLE = _of(
    Version(
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 7, 1),
        tax_percent=D(19),
        charges=(
            Standing(name="Metering", amount=D("6.00"), per="month"),
            Fixed(name="Rebate", amount=D("-1.50"), tax_percent=D(0)),
            _blocks(Block(D("0.08"), D(100)), Block(D("0.11"))),
            TimeOfUse(
                name="Energy",
                tax_percent=D(9),
                bands=(
                    Band(name="night", price=D("0.12"), start="22:00", end="06:00"),
                    Band(name="peak", price=D("0.4"), start="17:00", end="20:00", months=(12, 1)),
                ),
                price=D("0.25"),
            ),
        ),
    ),
    _version(date(2026, 9, 1)),
)


def test_a_tariff_is_the_same_after_its_way_through_json() -> None:
    assert open_tariff(msgspec.json.encode(WHOLE)) == WHOLE


def test_the_json_of_a_charge_says_its_kind() -> None:
    charge = '{"kind": "per_unit", "name": "Energy", "price": "0.25"}'
    assert open_tariff(_json(charge)) == _tariff()


def _json(charge: str) -> str:
    return (
        '{"key": "home", "name": "Home", "currency": "EUR", "unit": "kWh",'
        f' "versions": [{{"valid_from": "2026-01-01", "charges": [{charge}]}}]}}'
    )


def test_a_price_never_becomes_a_binary_fraction() -> None:
    charge = '{"kind": "per_unit", "name": "Energy", "price": 0.1}'
    (found,) = open_tariff(_json(charge)).versions[0].charges
    assert found == PerUnit(name="Energy", price=D("0.1"))


@pytest.mark.parametrize(
    ("charge", "told"),
    [
        ('{"kind": "per_unit", "name": "Energy", "price": "0.25", "prize": "1"}', "prize"),
        (
            '{"kind": "per_unit", "name": "Energy", "price": "cheap"}',
            r"versions\[0\]\.charges\[0\]\.price",
        ),
        ('{"kind": "per_hour", "name": "Energy", "price": "1"}', "per_hour"),
        ('{"kind": "per_unit", "name": "Energy", "price": "NaN"}', "price NaN"),
        ("[[", "not a tariff"),
    ],
)
def test_a_text_that_is_no_tariff_is_refused_with_the_place(charge: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_tariff(_json(charge))


def test_each_unit_is_one_of_a_counting_register() -> None:
    counted = {info.unit for info in KINDS.values() if info.counting}
    assert {unit.base for unit in UNITS.values()} <= counted
    assert 10 ** UNITS["kWh"].shift == 1000
    assert {KINDS[kind].unit for kind in (Kind.VOLUME, Kind.ENERGY_IMPORT)} <= UNITS.keys()


def test_versions_that_follow_on_each_other_in_any_order_and_gaps_are_taken() -> None:
    check(
        _of(
            _version(date(2026, 9, 1)),
            _version(date(2026, 1, 1), date(2026, 3, 1)),
            _version(date(2026, 3, 1), date(2026, 7, 1)),
        )
    )


@pytest.mark.parametrize(
    ("until", "told"), [(None, "without an end"), (date(2026, 7, 2), "until 2026-07-02")]
)
def test_versions_that_overlap_are_refused_with_the_end_that_would_do(
    until: date | None, told: str
) -> None:
    tariff = _of(_version(date(2026, 7, 1)), _version(date(2026, 1, 1), until))
    assert _refusal(tariff) == (
        f"tariff home: the version of 2026-01-01, {told}, overlaps the version of 2026-07-01; "
        "let it end: valid_until 2026-07-01 or before"
    )


def test_two_versions_of_one_day_are_refused() -> None:
    twice = _of(_version(date(2026, 1, 1), date(2026, 2, 1)), _version(date(2026, 1, 1)))
    assert "two versions of 2026-01-01" in _refusal(twice)


@pytest.mark.parametrize("until", [date(2026, 1, 1), date(2025, 12, 31)])
def test_a_version_that_ends_before_it_begins_is_refused(until: date) -> None:
    assert "not after valid_from" in _refusal(_of(_version(date(2026, 1, 1), until)))


@pytest.mark.parametrize(
    ("tariff", "told"),
    [
        (_tariff(unit="m3"), "unit 'm3'; possible are m³, Wh, kWh, MWh"),
        (_tariff(currency="euro"), "currency 'euro'; write its three capital letters"),
        (_tariff(currency="EUR\n"), "currency"),
        (msgspec.structs.replace(_tariff(), decimals=-1), "-1 decimals; 0 to 4"),
        (msgspec.structs.replace(_tariff(), name=" "), "name ' '"),
        (_of(), "0 versions; 1 to 100"),
        (_of(Version(valid_from=date(2026, 1, 1), charges=())), "0 charges; 1 to 30"),
        (
            _of(Version(valid_from=date(2026, 1, 1), charges=(ENERGY,), tax_percent=D(101))),
            "tax_percent 101; 0 to 100",
        ),
    ],
)
def test_what_a_tariff_cannot_be_is_refused(tariff: Tariff, told: str) -> None:
    assert told in _refusal(tariff)


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(Permanent, match="is not a key"):
        check(msgspec.structs.replace(_tariff(), key="The Home"))


@pytest.mark.parametrize(
    ("charge", "told"),
    [
        (PerUnit(name="", price=D(1)), "name ''"),
        (PerUnit(name="Energy", price=D("NaN")), "price NaN"),
        (PerUnit(name="Energy", price=D("Infinity")), "price Infinity"),
        (PerUnit(name="Energy", price=D("1E+9")), "price 1E+9; at most 9 digits and 8 decimals"),
        (PerUnit(name="Energy", price=D("1E-9")), "price 1E-9"),
        (PerUnit(name="Energy", price=D(1), tax_percent=D(-1)), "tax_percent -1"),
        (Standing(name="Energy", amount=D("1E+99"), per="day"), "amount 1E+99"),
        (Fixed(name="Energy", amount=D("sNaN")), "amount sNaN"),
        (_blocks(), "0 blocks"),
        (_blocks(Block(D(1), D(-5)), Block(D(2))), "block 1 is up to -5; it has to be above 0"),
        (_blocks(Block(D(1), D(9)), Block(D(2), D(9)), Block(D(3))), "block 2 is up to 9"),
        (_blocks(Block(D(1)), Block(D(2))), "block 1 has no up_to"),
        (_blocks(Block(D(1), D(10))), "nothing is priced above 10; add a last block without"),
        (_night(start="22:60"), "time '22:60'; write 00:00 to 24:00, as 06:30"),
        (_night(start="9:00"), "time '9:00'"),
        (_night(end="24:30"), "time '24:30'"),
        (_night(start="24:00"), "from 24:00 to 06:00 is no time"),
        (_night(start="06:00"), "from 06:00 to 06:00 is no time; the whole day is 00:00 to 24:00"),
        (_night(weekdays=()), "band 'night': name its weekdays"),
        (_night(weekdays=("sonntag",)), "band 'night': name its weekdays"),
        (_night(months=(0,)), "band 'night': name its months"),
        (_night(name="\t"), "name '\\t'"),
        (_night(price=D("NaN")), "band 'night': price NaN"),
        (TimeOfUse(name="Energy", bands=(), price=D(1)), "0 bands"),
        (TimeOfUse(name="Energy", bands=_night().bands, price=D("NaN")), "price NaN"),
    ],
)
def test_what_a_charge_cannot_be_is_refused_with_version_and_charge(
    charge: Charge, told: str
) -> None:
    refusal = _refusal(_tariff(charge))
    assert refusal.startswith(f"tariff home, version of 2026-01-01, charge {charge.name!r}")
    assert told in refusal


def test_two_charges_of_one_name_are_refused() -> None:
    assert "two charges are named 'Energy'; rename one" in _refusal(_tariff(ENERGY, ENERGY))


def test_two_bands_of_one_name_are_refused() -> None:
    bands = (*_night().bands, Band(name="night", price=D(1), start="06:00", end="22:00"))
    assert "two bands are named 'night'" in _refusal(_tariff(TimeOfUse(name="E", bands=bands)))


def test_a_band_that_could_not_be_told_from_all_other_times_is_refused() -> None:
    bands = (Band(name="other times", price=D(1), start="06:00", end="22:00"),)
    refusal = _refusal(_tariff(TimeOfUse(name="E", bands=bands, price=D(2))))
    assert "two bands are named 'other times'; rename one" in refusal


def test_more_than_can_be_looked_through_is_refused() -> None:
    charges = [PerUnit(name=f"c{n}", price=D(1)) for n in range(MAX_CHARGES + 1)]
    assert "31 charges" in _refusal(_tariff(*charges))
    check(_tariff(*charges[1:]))
    bands = [
        Band(name=f"b{n}", price=D(1), start=f"00:{n:02}", end=f"00:{n + 1:02}")
        for n in range(MAX_PARTS + 1)
    ]
    assert "31 bands" in _refusal(_tariff(TimeOfUse(name="E", bands=tuple(bands), price=D(1))))
    check(_tariff(TimeOfUse(name="E", bands=tuple(bands[1:]), price=D(1))))
    years = [_version(date(n, 1, 1), date(n + 1, 1, 1)) for n in range(1900, 1901 + MAX_VERSIONS)]
    assert "101 versions" in _refusal(_of(*years))
    check(_of(*years[1:]))


def test_bands_that_overlap_after_midnight_are_refused_with_the_day_and_the_time() -> None:
    early = Band(name="early", price=D(1), start="05:00", end="07:00", weekdays=("sat",))
    bands = (*_night().bands, early)
    assert _refusal(_tariff(TimeOfUse(name="Energy", bands=bands, price=D(1)))) == (
        "tariff home, version of 2026-01-01, charge 'Energy': bands 'night' and 'early' overlap "
        "on sat of month 1 from 05:00; change the times, weekdays or months of one"
    )


def test_a_time_in_no_band_is_refused_unless_there_is_a_price_for_it() -> None:
    night = Band(name="night", price=D(1), start="22:00", end="06:00")
    day = Band(name="day", price=D(2), start="06:00", end="22:00", months=tuple(range(1, 12)))
    gap = TimeOfUse(name="Energy", bands=(night, day))
    assert "no band on mon of month 12 from 06:00; add one, or a price" in _refusal(_tariff(gap))
    check(_tariff(msgspec.structs.replace(gap, price=D(3))))
    advent = msgspec.structs.replace(day, name="advent", months=(12,))
    check(_tariff(TimeOfUse(name="Energy", bands=(night, day, advent))))


HOURS = st.integers(0, 23)
BANDS = st.lists(
    st.tuples(HOURS, HOURS, st.sampled_from([WEEKDAYS, WORKDAYS, ("sat", "sun")])).filter(
        lambda band: band[0] != band[1]
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(bands=BANDS, full=st.booleans(), other=st.booleans())
def test_bands_are_taken_only_when_each_hour_of_each_day_has_one_price(
    bands: list[tuple[int, int, tuple[Weekday, ...]]], full: bool, other: bool
) -> None:
    if full:  # random bands are seldom a whole day
        start, end, _ = bands[0]
        bands = [(start, end, WEEKDAYS), (end, start, WEEKDAYS)]
    charge = TimeOfUse(
        name="Energy",
        bands=tuple(
            Band(name=f"b{n}", price=D(n), start=f"{a:02}:00", end=f"{b:02}:00", weekdays=days)
            for n, (a, b, days) in enumerate(bands)
        ),
        price=D(1) if other else None,
    )
    prices = {
        sum(
            day in days and (a <= hour < b if a < b else hour >= a or hour < b)
            for a, b, days in bands
        )
        for day in WEEKDAYS
        for hour in range(24)
    }
    if prices <= ({0, 1} if other else {1}):
        check(_tariff(charge))
    else:
        refusal = _refusal(_tariff(charge))
        assert "overlap" in refusal or (0 in prices and "no band" in refusal)
        assert "no band" in refusal or max(prices) > 1
