"""Cost: by hand where a person can, by its laws where only a machine can."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cloud.domain.cost import OTHER_TIMES, Cost, Line, NotPriced, Tax, cost
from cloud.domain.tariffs import (
    Band,
    Block,
    Blocks,
    Fixed,
    PerUnit,
    Standing,
    TimeOfUse,
    Version,
)
from cloud.domain.usage import Usage
from common.errors import Permanent
from tests.unit.tariff_parts import BUCHAREST, by_part, hours, nets_of, tariff_of, version_of

D = Decimal
FLAT = PerUnit(name="Energy", price=D("0.25"))
NIGHT = Band(name="night", price=D("0.12"), start="22:00", end="06:00")
DAY_NIGHT = TimeOfUse(name="Energy", bands=(NIGHT,), price=D("0.25"))


def test_a_month_with_all_that_there_is_costs_what_it_does_by_hand() -> None:
    version = Version(
        valid_from=date(2026, 1, 1),
        tax_percent=D(19),
        charges=(
            Standing(name="Metering", amount=D("6.00"), per="month"),
            Blocks(name="Network", blocks=(Block(D("0.08"), D(100)), Block(D("0.11")))),
            msgspec.structs.replace(DAY_NIGHT, tax_percent=D(9)),
            Fixed(name="Rebate", amount=D("-1.50"), tax_percent=D(0)),
        ),
    )
    usage = [
        Usage(one.start, one.end, D(500 if 6 <= one.start.astimezone(BUCHAREST).hour < 22 else 200))
        for one in hours("2026-06-01", "2026-07-01")
    ]
    found = cost(tariff_of(version, unit="kWh"), usage, BUCHAREST)

    def line(*what: str, tax: int) -> Line:
        charge, part, quantity, unit, price, per, net = what
        return Line(
            charge=charge,
            part=part,
            start=date(2026, 6, 1),
            end=date(2026, 7, 1),
            quantity=D(quantity),
            unit=unit,
            price=D(price),
            per=per,
            net=D(net),
            tax_percent=D(tax),
            estimated=D(0),
        )

    assert found == Cost(
        currency="EUR",
        unit="kWh",
        lines=(
            line("Metering", "", "30", "day", "6.00", "month", "6.00", tax=19),
            line("Network", "up to 100", "100", "kWh", "0.08", "kWh", "8.00", tax=19),
            line("Network", "above 100", "188", "kWh", "0.11", "kWh", "20.68", tax=19),
            line("Energy", "night", "48", "kWh", "0.12", "kWh", "5.76", tax=9),
            line("Energy", OTHER_TIMES, "240", "kWh", "0.25", "kWh", "60.00", tax=9),
            line("Rebate", "", "1", "month", "-1.50", "month", "-1.50", tax=0),
        ),
        taxes=(
            Tax(D(0), D("-1.50"), D("0.00")),
            Tax(D(9), D("65.76"), D("5.92")),
            Tax(D(19), D("34.68"), D("6.59")),
        ),
        net=D("98.94"),
        tax=D("12.51"),
        gross=D("111.45"),
        quantity=D(288),
        estimated=D(0),
        missing_s=0,
        not_priced=(),
    )


def test_a_version_that_changes_within_a_month_shares_it_by_days() -> None:
    blocks = (Block(D("1.00"), D(30)), Block(D("2.00")))
    tariff = tariff_of(
        version_of(
            Standing(name="Meter", amount=D("6.00"), per="month"),
            Blocks(name="Water", blocks=blocks),
            Fixed(name="Letter", amount=D("1.00")),
            end="2026-06-11",
        ),
        version_of(
            Standing(name="Meter", amount=D("9.00"), per="month"),
            Blocks(name="Water", blocks=blocks),
            Fixed(name="Letter", amount=D("5.00")),
            start="2026-06-11",
        ),
    )
    found = cost(tariff, hours("2026-06-01", "2026-07-01", D("0.1")), BUCHAREST)
    assert [
        (line.charge, line.part, line.start.day, line.quantity, line.net) for line in found.lines
    ] == [
        ("Meter", "", 1, D(10), D("2.00")),
        ("Water", "up to 30", 1, D(10), D("10.00")),
        ("Water", "above 30", 1, D(14), D("28.00")),
        ("Letter", "", 1, D(1), D("1.00")),
        ("Meter", "", 11, D(20), D("6.00")),
        ("Water", "up to 30", 11, D(20), D("20.00")),
        ("Water", "above 30", 11, D(28), D("56.00")),
    ]
    assert found.lines[0].end == date(2026, 6, 11) == found.lines[-1].start
    assert found.estimated == 0


def test_a_version_begins_at_midnight_on_the_wall() -> None:
    tariff = tariff_of(
        version_of(PerUnit(name="Water", price=D(1)), end="2026-07-01"),
        version_of(PerUnit(name="Water", price=D(10)), start="2026-07-01"),
    )
    usage = hours("2026-06-30T22:00", "2026-07-01T03:00")
    assert usage[2].start == datetime(2026, 6, 30, 21, tzinfo=UTC)
    assert nets_of(cost(tariff, usage, BUCHAREST)) == [D("2.00"), D("30.00")]


@pytest.mark.parametrize(
    ("per", "nets"),
    [
        ("day", ["31.00", "28.00"]),
        ("month", ["1.00", "1.00"]),
        ("year", ["0.08", "0.08"]),  # 31 and 28 of 365: 0.0849 and 0.0767
    ],
)
def test_a_standing_charge_is_for_each_day_even_without_readings(per: str, nets: list[str]) -> None:
    charge = msgspec.convert(
        {"kind": "standing", "name": "Meter", "amount": "1.00", "per": per}, Standing
    )
    usage = hours("2026-01-01", "2026-03-01", None)
    found = cost(tariff_of(version_of(charge)), usage, BUCHAREST)
    assert nets_of(found) == [D(net) for net in nets]
    assert found.missing_s == 59 * 86_400
    assert found.quantity == 0


def test_a_year_of_366_days_is_shared_by_366() -> None:
    tariff = tariff_of(version_of(Standing(name="Meter", amount=D("366.00"), per="year")))
    assert nets_of(cost(tariff, hours("2028-02-01", "2028-03-01"), BUCHAREST)) == [D("29.00")]


def test_blocks_of_a_day_begin_anew_each_day() -> None:
    blocks = (Block(D("1.00"), D(30)), Block(D("2.00")))
    tariff = tariff_of(version_of(Blocks(name="Water", blocks=blocks, per="day")))
    usage = hours("2026-06-01", "2026-06-02", D(2)) + hours("2026-06-02", "2026-06-03", D(1))
    assert by_part(cost(tariff, usage, BUCHAREST)) == {"up to 30": D(54), "above 30": D(18)}


def test_a_block_ends_with_its_threshold() -> None:
    blocks = (Block(D("1.00"), D(24)), Block(D("2.00"), D(48)), Block(D("3.00")))
    tariff = tariff_of(version_of(Blocks(name="Water", blocks=blocks, per="day")))
    for quantity, parts in ((1, {"up to 24": 24}), (2, {"up to 24": 24, "up to 48": 24})):
        usage = hours("2026-06-01", "2026-06-02", D(quantity))
        assert by_part(cost(tariff, usage, BUCHAREST)) == parts


@pytest.mark.parametrize(
    ("day", "night"), [("2026-03-29", 7), ("2026-06-01", 8), ("2026-10-25", 9)]
)
def test_the_night_in_which_the_clocks_change_has_its_real_hours(day: str, night: int) -> None:
    end = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    found = cost(tariff_of(version_of(DAY_NIGHT)), hours(day, end), BUCHAREST)
    assert by_part(found) == {"night": D(night), OTHER_TIMES: D(16)}
    assert found.estimated == 0


def test_an_edge_in_the_hour_that_the_clocks_leave_out_holds_from_the_change_on() -> None:
    early = Band(name="early", price=D(1), start="03:30", end="05:00")
    tariff = tariff_of(version_of(TimeOfUse(name="Energy", bands=(early,), price=D(2))))
    found = cost(tariff, hours("2026-03-29", "2026-03-30"), BUCHAREST)
    assert by_part(found) == {"early": D(1), OTHER_TIMES: D(22)}
    assert found.estimated == 0


def test_an_edge_in_the_hour_that_comes_twice_is_passed_twice() -> None:
    early = Band(name="early", price=D(1), start="03:30", end="04:00")
    tariff = tariff_of(version_of(TimeOfUse(name="Energy", bands=(early,), price=D(2))))
    found = cost(tariff, hours("2026-10-25", "2026-10-26"), BUCHAREST)
    assert by_part(found) == {"early": D(1), OTHER_TIMES: D(24)}


def test_an_hour_across_the_clocks_change_is_divided_where_they_change() -> None:
    st_johns = ZoneInfo("America/St_Johns")  # 02:00 becomes 03:00 at half past five, UTC
    late = Band(name="late", price=D(1), start="03:00", end="12:00")
    tariff = tariff_of(version_of(TimeOfUse(name="Energy", bands=(late,), price=D(2))))
    start = datetime(2026, 3, 8, 5, tzinfo=UTC)
    usage = [Usage(start, start + timedelta(hours=1), D(6))]
    assert by_part(cost(tariff, usage, st_johns)) == {"late": D(3), OTHER_TIMES: D(3)}


def test_weekdays_and_months_of_a_band_are_those_of_the_instant() -> None:
    bands = (
        Band(
            name="friday night",
            price=D(1),
            start="22:00",
            end="06:00",
            weekdays=("fri",),
            months=(7,),
        ),
    )
    tariff = tariff_of(version_of(TimeOfUse(name="Energy", bands=bands, price=D(2))))
    usage = hours("2026-07-30", "2026-08-02")  # a Thursday, to Saturday, the first of August
    assert by_part(cost(tariff, usage, BUCHAREST)) == {
        "friday night": D(8),
        OTHER_TIMES: D(64),
    }


def test_an_hour_across_the_edge_of_a_band_is_divided_and_estimated() -> None:
    day = Band(name="day", price=D(1), start="06:20", end="22:00")
    charge = TimeOfUse(name="Energy", bands=(day,), price=D(2))
    flat = PerUnit(name="Grid", price=D(1))
    usage = hours("2026-06-01T05:00", "2026-06-01T08:00")
    found = cost(tariff_of(version_of(charge, flat)), usage, BUCHAREST)
    third = D("0.333333333333")
    assert [(line.part, line.quantity, line.estimated) for line in found.lines] == [
        ("day", 2 - third, D("0.4001")),
        (OTHER_TIMES, 1 + third, D("0.2500")),
        ("", D(3), D(0)),
    ]
    assert found.estimated == 1


def test_an_hour_across_the_midnight_of_a_new_version_is_divided_and_estimated() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    tariff = tariff_of(
        version_of(PerUnit(name="Water", price=D(1)), end="2026-07-01"),
        version_of(PerUnit(name="Water", price=D(10)), start="2026-07-01"),
    )
    start = datetime(2026, 6, 30, 17, tzinfo=UTC)
    usage = [
        Usage(start + timedelta(hours=n), start + timedelta(hours=n + 1), D(4)) for n in (0, 1)
    ]
    found = cost(tariff, usage, kolkata)
    assert [(line.quantity, line.net, line.estimated) for line in found.lines] == [
        (D(6), D("6.00"), D("0.3334")),
        (D(2), D("20.00"), D(1)),
    ]


def test_what_no_version_covers_is_named_and_costs_nothing() -> None:
    tariff = tariff_of(version_of(FLAT, start="2026-06-20"), version_of(FLAT, end="2026-06-10"))
    found = cost(tariff, hours("2026-06-01", "2026-07-01"), BUCHAREST)
    assert found.not_priced == (
        NotPriced(date(2026, 6, 10), date(2026, 6, 20), 10 * 86_400, D(240)),
    )
    assert [line.quantity for line in found.lines] == [D(9 * 24), D(11 * 24)]
    assert found.quantity == D(30 * 24)


def test_two_gaps_in_a_month_do_not_name_the_days_between_them() -> None:
    tariff = tariff_of(version_of(FLAT, start="2026-06-05", end="2026-06-10"))
    found = cost(tariff, hours("2026-06-01", "2026-07-01"), BUCHAREST)
    assert found.not_priced == (
        NotPriced(date(2026, 6, 1), date(2026, 6, 5), 4 * 86_400, D(96)),
        NotPriced(date(2026, 6, 10), date(2026, 7, 1), 21 * 86_400, D(21 * 24)),
    )


def test_before_the_first_version_nothing_is_priced() -> None:
    found = cost(
        tariff_of(version_of(FLAT, start="2030-01-01")),
        hours("2026-06-01", "2026-06-03"),
        BUCHAREST,
    )
    assert (found.lines, found.gross, found.not_priced[0].quantity) == ((), D("0.00"), D(48))


def test_a_fixed_charge_is_that_of_the_first_version_in_each_month() -> None:
    tariff = tariff_of(
        version_of(Fixed(name="Letter", amount=D(2)), start="2026-06-05", end="2026-06-20"),
        version_of(Fixed(name="Letter", amount=D(3)), start="2026-06-20"),
    )
    found = cost(tariff, hours("2026-06-01", "2026-08-01"), BUCHAREST)
    assert [(line.start, line.net) for line in found.lines] == [
        (date(2026, 6, 5), D("2.00")),
        (date(2026, 7, 1), D("3.00")),
    ]


def test_missing_and_estimated_hours_are_told() -> None:
    usage = hours("2026-06-01", "2026-06-02")
    usage[3] = Usage(usage[3].start, usage[3].end, None)
    usage[4] = Usage(usage[4].start, usage[4].end, D(2), estimated=True)
    tariff = tariff_of(version_of(DAY_NIGHT, PerUnit(name="Grid", price=D(1))))
    found = cost(tariff, usage, BUCHAREST)
    assert (found.quantity, found.estimated, found.missing_s) == (D(24), D(2), 3600)
    assert [line.estimated for line in found.lines] == [D("0.2500"), D(0), D("0.0834")]


def test_a_line_is_rounded_half_up_and_tax_once_for_each_rate() -> None:
    version = version_of(
        PerUnit(name="a", price=D("0.045"), tax_percent=D(9)),
        PerUnit(name="b", price=D("0.045"), tax_percent=D("9.0")),
        PerUnit(name="c", price=D("0.3"), tax_percent=D(15)),
    )
    usage = hours("2026-06-01T00:00", "2026-06-01T01:00")
    found = cost(tariff_of(version), usage, BUCHAREST)
    assert nets_of(found) == [D("0.05"), D("0.05"), D("0.30")]
    # By lines the tax at 9 % were 0.0045 twice, and so nothing.
    assert found.taxes == (Tax(D(9), D("0.10"), D("0.01")), Tax(D(15), D("0.30"), D("0.05")))


def test_a_currency_without_decimals_has_whole_lines() -> None:
    tariff = tariff_of(version_of(PerUnit(name="a", price=D("0.5"))), decimals=0)
    found = cost(tariff, hours("2026-06-01T00:00", "2026-06-01T01:00"), BUCHAREST)
    assert str(found.net) == str(found.gross) == "1"


@pytest.mark.parametrize(
    "shape",
    [[(0, 1), (2, 3)], [(0, 1), (0, 1)], [(1, 1)], [(1, 0)]],
    ids=["hole", "twice", "empty", "backwards"],
)
def test_usage_that_does_not_follow_on_is_refused(shape: list[tuple[int, int]]) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    usage = [Usage(start + timedelta(hours=a), start + timedelta(hours=b), D(1)) for a, b in shape]
    with pytest.raises(Permanent, match="does not follow on"):
        cost(tariff_of(version_of(FLAT)), usage, BUCHAREST)


def test_negative_usage_is_refused() -> None:
    with pytest.raises(Permanent, match="negative: -1"):
        cost(tariff_of(version_of(FLAT)), hours("2026-06-01", "2026-06-02", D(-1)), BUCHAREST)


def test_no_usage_costs_nothing() -> None:
    found = cost(tariff_of(version_of(FLAT)), [], BUCHAREST)
    assert (found.lines, found.gross) == ((), D("0.00"))
