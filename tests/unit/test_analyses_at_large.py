"""What holds of all analyses, whatever the hours are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.analyses import (
    Analyses,
    Finding,
    Hour,
    Readings,
    analyse,
    defaults,
    follow,
)
from cloud.domain.consumption import Index
from common.registers import Medium
from tests.unit.analyses_parts import (
    BUCHAREST,
    KOLKATA,
    MISSING,
    codes,
    history,
    hours,
    household,
    marks,
)

WATER = defaults(Medium.COLD_WATER, "m³")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
MARKS = {zone: marks(date(2026, 2, 1), 71, zone) for zone in (BUCHAREST, KOLKATA, LORD_HOWE)}
"""Hours with a change of the clocks among them, but in Kolkata."""

Content = tuple[int | None, bool]
content: st.SearchStrategy[Content] = st.tuples(
    st.none() | st.sampled_from([0, 1, 9, 10, 30]) | st.integers(-(10**6), 10**12), st.booleans()
)
blocks = st.lists(st.tuples(st.integers(1, 400), st.lists(content, min_size=1, max_size=30)))


def fill(blocks: Sequence[tuple[int, Sequence[Content]]], zone: ZoneInfo) -> list[Hour]:
    """Hours with each block's contents, over and over for so many hours."""
    contents = chain.from_iterable(
        (block[n % len(block)] for n in range(count)) for count, block in blocks
    )
    return [
        Hour(start, end, None if litres is None else Decimal(litres).scaleb(-3), estimated)
        for (start, end), (litres, estimated) in zip(pairwise(MARKS[zone]), contents, strict=False)
    ]


def look(seen: Sequence[Hour], zone: ZoneInfo, chosen: Analyses = WATER) -> list[Finding]:
    return analyse(history(seen, zone=zone), chosen)


@settings(max_examples=40)
@given(blocks=blocks, zone=st.sampled_from(list(MARKS)), ahead_h=st.integers(-2000, 2000))
def test_no_hours_are_too_strange_to_be_analysed(
    blocks: list[tuple[int, list[Content]]], zone: ZoneInfo, ahead_h: int
) -> None:
    seen = fill(blocks, zone)
    now = MARKS[zone][len(seen)] + timedelta(hours=ahead_h)
    for found in analyse(history(seen, zone=zone, now=now), WATER):
        assert found.since < (found.until or now)
        assert found.code in Analyses.__struct_fields__
        assert all(type(value) in (str, int) for value in found.evidence.values())
        assert len(found.text) < 400


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.integers(0, 9))
def test_no_readings_are_too_strange_to_be_analysed(values: list[int], decimals: int) -> None:
    indices = [Index(1_780_000_000_000 + n, value) for n, value in enumerate(values)]
    found = analyse(history([]), WATER, Readings(indices, decimals))
    assert set(codes(found)) <= {"reverse_flow", "index_fell"}


def in_another_unit(chosen: Analyses, power: int) -> Analyses:
    """With quantities in a unit that is 10^-power as large."""
    moved = {
        code: msgspec.structs.replace(
            one,
            **{
                name: value.scaleb(power)
                for name, value in msgspec.structs.asdict(one).items()
                if isinstance(value, Decimal)
            },
        )
        for code, one in msgspec.structs.asdict(chosen).items()
    }
    return Analyses(**moved)


def spans(found: Sequence[Finding]) -> list[tuple[str, datetime, datetime | None]]:
    return [(one.code, one.since, one.until) for one in found]


@settings(max_examples=15)
@given(blocks=blocks, power=st.integers(-3, 6))
def test_the_unit_changes_nothing(blocks: list[tuple[int, list[Content]]], power: int) -> None:
    seen = fill(blocks, BUCHAREST)
    moved = [
        replace(hour, quantity=hour.quantity.scaleb(power)) if hour.quantity is not None else hour
        for hour in seen
    ]
    chosen = in_another_unit(WATER, power)
    assert spans(look(moved, BUCHAREST, chosen)) == spans(look(seen, BUCHAREST))


@settings(max_examples=15)
@given(blocks=blocks, weeks=st.integers(-500, 500))
def test_another_week_changes_nothing(blocks: list[tuple[int, list[Content]]], weeks: int) -> None:
    seen, later = fill(blocks, KOLKATA), timedelta(weeks=weeks)
    moved = [replace(hour, start=hour.start + later, end=hour.end + later) for hour in seen]
    expected = [
        (code, since + later, until + later if until else None)
        for code, since, until in spans(look(seen, KOLKATA))
    ]
    assert spans(look(moved, KOLKATA)) == expected


@settings(max_examples=15)
@given(blocks=blocks, zone=st.sampled_from(list(MARKS)))
def test_estimates_alone_are_never_more_than_missing_data(
    blocks: list[tuple[int, list[Content]]], zone: ZoneInfo
) -> None:
    seen = [replace(hour, estimated=True) for hour in fill(blocks, zone)]
    assert set(codes(look(seen, zone))) <= {"data_missing"}


@settings(max_examples=8)
@given(blocks=blocks, step_h=st.integers(1, 30))
def test_nothing_is_told_twice_and_nothing_stays_open(
    blocks: list[tuple[int, list[Content]]], step_h: int
) -> None:
    seen = fill([(1000, [(20, False), (0, False)]), *blocks], BUCHAREST)
    known: dict[str, Finding] = {}
    told: list[str] = []
    for count in range(max(1, len(seen) - 8 * step_h), len(seen) + 1, step_h):
        found = look(seen[:count], BUCHAREST)
        changes = follow(known.values(), found, seen[count - 1].end)
        told += [one.key for one in changes.opened]
        known |= {one.key: one for one in (*changes.opened, *changes.lasting, *changes.closed)}
        lasting = {one.key for one in known.values() if one.until is None}
        assert lasting == {one.key for one in found if one.until is None}
    assert len(told) == len(set(told))


def test_without_hours_nothing_is_found() -> None:
    assert look([], BUCHAREST) == []


def test_when_all_hours_are_missing_just_that_is_found() -> None:
    (found,) = look(hours(lambda _: MISSING, 70), BUCHAREST)
    assert (found.code, found.evidence["hours"], found.until) == ("data_missing", 1679, None)


@pytest.mark.parametrize("count", [1, 2, 23])
def test_of_a_very_short_history_nothing_is_made(count: int) -> None:
    assert look(hours(lambda _: 1000, 1)[:count], BUCHAREST) == []


@pytest.mark.parametrize("zone", MARKS)
def test_an_ordinary_life_has_no_findings_in_any_zone(zone: ZoneInfo) -> None:
    seen = [
        Hour(start, end, Decimal(household(start.astimezone(zone)) or 0) / 1000)
        for start, end in pairwise(MARKS[zone])
    ]
    assert look(seen, zone) == []
