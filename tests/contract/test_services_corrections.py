"""Corrections: what is derived follows at once, readings stay, and nothing impossible is taken."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from cloud.domain.consumption import Step
from cloud.domain.tariffs import PerUnit, Tariff, Version
from cloud.services import corrections, installing, metering, points, statements, tariffs
from cloud.services.corrections import CorrectionView, NewCorrection
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from cloud.services.views import ConsumptionView
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.reading import Quality
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

START = datetime(2026, 6, 1, tzinfo=UTC)
NOW = to_ms(datetime(2026, 7, 2, tzinfo=UTC))
BY = Change("ana", NOW, "the pulse line was shorted")
HOUR = 3_600_000
SPIKE_H = 30
_WATER = Version(valid_from=date(2026, 1, 1), charges=(PerUnit(name="Water", price=Decimal(2)),))
TARIFF = Tariff(key="water", name="Water", currency="RON", unit="m³", versions=(_WATER,))


def at(hours: float) -> int:
    return to_ms(START + timedelta(hours=hours))


@pytest.fixture
def register(data: MasterData) -> int:
    """1 m³ an hour, read each half hour for 60 hours; from hour 30 to 32 it read 500 more."""
    device = data.add_device(data.add_gateway(data.add_site("mill", "UTC")))
    register = data.add_register(device, "volume", interval_s=1800)
    data.add_readings(register, [(at(n / 2), _index(n)) for n in range(121)])
    return register


def _index(n: int) -> int:
    spike = 500_000 if 2 * SPIKE_H <= n < 2 * SPIKE_H + 4 else 0
    return 100_000 + n * 500 + spike


def _hours(store: Store, register: int, first: int, last: int) -> list[ConsumptionView]:
    span = (START + timedelta(hours=first), START + timedelta(hours=last))
    return metering.consumption(store, register, Step.HOUR, *span)


def _values(found: list[ConsumptionView]) -> list[str | None]:
    return [None if one.value is None else format(one.value.normalize(), "f") for one in found]


def _void(store: Store, register: int) -> CorrectionView:
    wanted = NewCorrection(at(SPIKE_H), at(SPIKE_H + 2))
    return corrections.correct(store, register, wanted, BY)


@pytest.mark.parametrize("rolled_up", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_what_was_taken_out_does_not_count_before_and_after_it_is_rolled_up(
    store: Store, data: MasterData, register: int, *, rolled_up: bool, again: bool
) -> None:
    if rolled_up:
        roll_up(store)
    before = _values(_hours(store, register, 28, 34))
    assert before == ["1", "501", "1", None, "1", "1"]
    made = _void(store, register)
    if again:
        roll_up(store)
    found = _hours(store, register, 28, 34)
    assert _values(found) == ["1", "1", "1", "1", "1", "1"]
    assert [one.quality for one in found] == [
        "measured",
        "corrected",
        "corrected",
        "corrected",
        "measured",
        "measured",
    ]
    assert found[2].measured_percent == 0
    [day] = metering.consumption(
        store, register, Step.DAY, START + timedelta(days=1), START + timedelta(days=2)
    )
    assert (day.value, day.quality) == (Decimal(24), "corrected")
    raw = metering.readings(store, register, at(SPIKE_H), at(SPIKE_H + 1), 10)
    assert [one.value for one in raw] == [Decimal(630), Decimal("630.5")], "readings stay"
    corrections.withdraw(store, register, made.id, BY)
    if again:
        roll_up(store)
    assert _values(_hours(store, register, 28, 34)) == before


def test_a_value_that_was_put_in_counts_in_the_place_of_what_was_read(
    store: Store, register: int
) -> None:
    roll_up(store)
    wanted = NewCorrection(at(SPIKE_H), at(SPIKE_H + 2), Decimal("130.2"))
    corrections.correct(store, register, wanted, BY)
    for rolled_up in (False, True):
        if rolled_up:
            roll_up(store)
        found = _hours(store, register, 28, 34)
        assert _values(found) == ["1", "1.2", "0.9", "0.9", "1", "1"]
        assert [one.quality for one in found[1:4]] == ["corrected"] * 3
        assert [one.measured_percent for one in found[1:4]] == [Decimal(50), 0, 0]


def test_hours_and_days_of_which_nothing_counts_any_more_are_gone(
    store: Store, register: int
) -> None:
    roll_up(store)
    day = (at(24), at(48))
    corrections.correct(store, register, NewCorrection(*day), BY)
    roll_up(store)
    for table in ("hourly", "daily"):
        left = rows_of(store, f"SELECT at FROM {table} WHERE register_id = {register}")
        assert left
        assert not [one for (one,) in left if day[0] <= one < day[1]], table
    span = (START, START + timedelta(days=3))
    found = metering.consumption(store, register, Step.DAY, *span)
    assert [one.value for one in found] == [Decimal(24), Decimal(24), Decimal(12)]
    assert [one.quality for one in found] == ["corrected", "corrected", "estimated"]
    assert sum(one.value or 0 for one in _hours(store, register, 0, 60)) == Decimal(60)


def test_what_comes_late_into_what_was_taken_out_does_not_count(
    store: Store, data: MasterData, register: int
) -> None:
    _void(store, register)
    roll_up(store)
    data.add_readings(register, [(at(SPIKE_H + 0.25), 999_000)])
    assert _values(_hours(store, register, 28, 34)) == ["1"] * 6
    roll_up(store)
    assert _values(_hours(store, register, 28, 34)) == ["1"] * 6


def test_each_correction_keeps_its_author_and_reason(store: Store, register: int) -> None:
    made = _void(store, register)
    other = Change("ion", NOW + 1, "it was right after all")
    corrections.withdraw(store, register, made.id, other)
    [view] = corrections.corrections(store, register)
    assert (view.made_by, view.reason) == ("ana", "the pulse line was shorted")
    assert (view.withdrawn_by, view.withdrawn_reason) == ("ion", "it was right after all")
    with pytest.raises(Permanent, match="withdrawn by ion already"):
        corrections.withdraw(store, register, made.id, other)
    noted = rows_of(
        store, f"SELECT action, reason FROM audit WHERE subject = 'register:{register}' ORDER BY id"
    )
    assert [tuple(one) for one in noted] == [
        ("corrected", "the pulse line was shorted"),
        ("correction_withdrawn", "it was right after all"),
    ]


@pytest.mark.parametrize(
    ("wanted", "reason", "said"),
    [
        (NewCorrection(at(2), at(2)), "why", "end: must be later"),
        (NewCorrection(at(0), at(24 * 401)), "why", "more than 400 days"),
        (NewCorrection(NOW + HOUR), "why", "still to be read"),
        (NewCorrection(at(1), NOW + HOUR), "why", "still to be read"),
        (NewCorrection(at(10), None, Decimal("109.4")), "why", r"read more at .*09:30.*: 109.500"),
        (NewCorrection(at(10), None, Decimal("110.6")), "why", r"read less at .*10:30.*: 110.500"),
        (NewCorrection(at(10), None, Decimal("110.0001")), "why", "more than 3 decimals"),
        (NewCorrection(at(10), None, Decimal("1e30")), "why", "64 bits"),
        (NewCorrection(at(10)), " ", "reason: say why"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    store: Store, register: int, wanted: NewCorrection, reason: str, said: str
) -> None:
    with pytest.raises(Permanent, match=said):
        corrections.correct(store, register, wanted, Change("ana", NOW, reason))
    assert corrections.corrections(store, register) == []
    assert _values(_hours(store, register, 8, 12)) == ["1"] * 4


def test_a_value_has_to_fit_what_was_put_in_within_what_it_takes_out(
    store: Store, register: int
) -> None:
    corrections.correct(store, register, NewCorrection(at(10), None, Decimal(110)), BY)
    for value, fits in ((Decimal("110.4"), False), (Decimal("109.8"), True)):
        wanted = NewCorrection(at(9.25), at(11.25), value)
        if fits:
            corrections.correct(store, register, wanted, BY)
        else:
            with pytest.raises(Permanent, match=r"read less at .*10:00.*: 110.000"):
                corrections.correct(store, register, wanted, BY)
    assert None not in [one.value for one in _hours(store, register, 8, 13)]


def test_two_values_of_one_instant_are_refused(store: Store, register: int) -> None:
    wanted = NewCorrection(at(10), None, Decimal(110))
    first = corrections.correct(store, register, wanted, BY)
    with pytest.raises(Permanent, match=f"correction {first.id} has a value"):
        corrections.correct(store, register, wanted, BY)
    corrections.withdraw(store, register, first.id, BY)
    corrections.correct(store, register, wanted, BY)


def test_what_is_not_there_is_not_found(store: Store, register: int) -> None:
    with pytest.raises(NotFound):
        corrections.corrections(store, register + 1)
    with pytest.raises(NotFound):
        corrections.withdraw(store, register, 7, BY)


def test_a_metering_point_and_its_statement_say_what_was_corrected(
    store: Store, register: int
) -> None:
    wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
    point = points.create(store, wanted, BY).id
    installing.install(store, point, NewMeter(register), at(0), BY)
    tariffs.put(store, TARIFF, BY)
    tariffs.assign(store, point, date(2026, 1, 1), TARIFF.key, BY)
    issued = statements.issue(store, point, "2026-06", BY)
    assert issued.content.corrected == 0
    _void(store, register)
    span = (START + timedelta(hours=29), START + timedelta(hours=33))
    found = points.consumption(store, point, Step.HOUR, *span)
    assert [one.quality for one in found] == ["corrected"] * 3 + ["measured"]
    since = statements.statement(store, issued.issued.id).since
    changed = {one.figure: one for one in since.totals}
    assert changed["corrected"].now == Decimal(3)
    assert changed["missing_s"].difference < 0


def test_the_sum_of_hours_is_that_of_days_whatever_was_corrected(
    store: Store, register: int
) -> None:
    for first, last in ((5, 7.2), (30, 32), (31.4, 40)):
        corrections.correct(store, register, NewCorrection(at(first), at(last)), BY)
    corrections.correct(store, register, NewCorrection(at(33.1), None, Decimal("133")), BY)
    sums = []
    for rolled_up in (False, True):
        if rolled_up:
            roll_up(store)
        for step in Step:
            span = (START, START + timedelta(hours=60))
            found = metering.consumption(store, register, step, *span)
            sums.append(sum((one.value or Decimal(0) for one in found), Decimal(0)))
    assert set(sums) == {Decimal(60)}


def test_a_register_that_does_not_count_is_corrected_too(store: Store, data: MasterData) -> None:
    device = data.add_device(data.add_gateway(data.add_site("barn", "UTC"), "gw-2"), "t")
    outside = data.add_register(device, "outside", kind=Kind.TEMPERATURE, decimals=1)
    data.add_readings(outside, [(at(n), 100 if n != 3 else 9999) for n in range(6)])
    corrections.correct(store, outside, NewCorrection(at(3), None, Decimal("10.1")), BY)
    roll_up(store)
    with store.read() as uow:
        spans = uow.rollups.hours([outside], at(0), at(6))
    assert [one.high for one in spans] == [100, 100, 100, 101, 100, 100]
    assert [one.first_quality for one, _ in pairwise(spans)][3] == Quality.CORRECTED
