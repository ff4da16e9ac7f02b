"""Laws of cost that hold for any usage, tariff and zone."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.consumption import Step, boundaries
from cloud.domain.cost import Cost, cost
from cloud.domain.tariffs import Band, Block, Blocks, Charge, PerUnit, Standing, TimeOfUse
from cloud.domain.usage import Usage
from tests.unit.tariff_parts import by_part, nets_of, tariff_of, version_of

D = Decimal
QUANTITIES = st.none() | st.integers(0, 10**7).map(lambda n: D(n).scaleb(-3))


@st.composite
def usages(draw: st.DrawFn) -> tuple[list[Usage], ZoneInfo]:
    """Local hours of up to five days, now and then of a day on which the clocks change."""
    zone = ZoneInfo(
        draw(
            st.sampled_from(
                ["Europe/Bucharest", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "UTC"]
            )
        )
    )
    day = draw(
        st.sampled_from([date(2026, 3, 27), date(2026, 10, 23), date(2026, 4, 3), date(2026, 3, 6)])
        | st.dates(date(2021, 1, 1), date(2030, 1, 1))
    )
    start = datetime.combine(day, datetime.min.time(), zone)
    end = datetime.combine(day + timedelta(days=draw(st.integers(1, 5))), datetime.min.time(), zone)
    marks = boundaries(Step.HOUR, start, end, zone)
    known = draw(st.lists(st.tuples(QUANTITIES, st.booleans()), min_size=1, max_size=30))
    return [
        Usage(one, other, *known[n % len(known)]) for n, (one, other) in enumerate(pairwise(marks))
    ], zone


def _sum(usage: Sequence[Usage]) -> Decimal:
    return sum((one.quantity for one in usage if one.quantity is not None), D(0))


PRICES = st.integers(-(10**6), 10**6).map(lambda n: D(n).scaleb(-4))
HALF_HOURS = st.integers(0, 47).map(lambda n: f"{n // 2:02}:{n % 2 * 30:02}")
quick = settings(max_examples=40)


def _bands(edges: list[str], prices: list[Decimal]) -> TimeOfUse:
    """A day that is divided at the edges, the last band over midnight."""
    bands = zip(edges, [*edges[1:], edges[0]], strict=True)
    return TimeOfUse(
        name="Energy",
        bands=tuple(
            Band(name=f"b{n}", price=prices[n % len(prices)], start=start, end=end)
            for n, (start, end) in enumerate(bands)
        ),
    )


EDGES = st.lists(HALF_HOURS, min_size=2, max_size=5, unique=True).map(sorted)


@quick
@given(what=usages(), price=PRICES)
def test_a_flat_price_costs_the_price_of_the_sum(
    what: tuple[list[Usage], ZoneInfo], price: Decimal
) -> None:
    usage, zone = what
    tariff = tariff_of(version_of(PerUnit(name="Energy", price=price)), decimals=4)
    exact = sum((line.quantity * line.price for line in cost(tariff, usage, zone).lines), D(0))
    assert exact == _sum(usage) * price


@quick
@given(what=usages(), price=PRICES, edges=EDGES)
def test_equal_prices_at_all_times_or_in_all_blocks_cost_as_one(
    what: tuple[list[Usage], ZoneInfo], price: Decimal, edges: list[str]
) -> None:
    usage, zone = what
    blocks = (Block(price, D(10)), Block(price, D("1000.5")), Block(price))
    flat = cost(tariff_of(version_of(PerUnit(name="Energy", price=price))), usage, zone)
    charges: list[Charge] = [
        _bands(edges, [price]),
        Blocks(name="Energy", blocks=blocks),
        Blocks(name="Energy", blocks=blocks, per="day"),
    ]
    for charge in charges:
        found = cost(tariff_of(version_of(charge)), usage, zone)
        assert sum((line.quantity for line in found.lines), D(0)) == flat.quantity == _sum(usage)
        assert sum((line.quantity * line.price for line in found.lines), D(0)) == (
            _sum(usage) * price
        )


@quick
@given(what=usages(), edges=EDGES, data=st.data())
def test_usage_that_is_asked_for_in_two_parts_has_the_same_quantities(
    what: tuple[list[Usage], ZoneInfo], edges: list[str], data: st.DataObject
) -> None:
    usage, zone = what
    days = [one.start.astimezone(zone).date() for one in usage]
    cuts = [n for n, (one, other) in enumerate(pairwise(days), 1) if one != other]
    cut = data.draw(st.sampled_from([0, *cuts]))
    day = Blocks(name="Water", blocks=(Block(D(1), D(100)), Block(D(2))), per="day")
    tariff = tariff_of(
        version_of(_bands(edges, [D(1), D(2)]), day, Standing(name="s", amount=D(1), per="day"))
    )
    parts = [by_part(cost(tariff, some, zone)) for some in (usage[:cut], usage[cut:])]
    both: dict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        for name, quantity in part.items():
            both[name] += quantity
    assert both == by_part(cost(tariff, usage, zone))


@quick
@given(what=usages(), edges=EDGES, prices=st.lists(PRICES, min_size=1, max_size=3))
def test_the_total_is_the_sum_of_what_is_shown_and_no_number_is_a_binary_fraction(
    what: tuple[list[Usage], ZoneInfo], edges: list[str], prices: list[Decimal]
) -> None:
    usage, zone = what
    middle = usage[len(usage) // 2].start.astimezone(zone).date()
    charges: list[Charge] = [
        _bands(edges, prices),
        Blocks(name="Water", blocks=(Block(prices[0], D("33.3")), Block(prices[-1]))),
        Standing(name="Meter", amount=D("7.77"), per="year", tax_percent=D("5.5")),
    ]
    versions = [
        msgspec.structs.replace(version_of(*charges, end=middle.isoformat()), tax_percent=D(9)),
        msgspec.structs.replace(version_of(*charges, start=middle.isoformat()), tax_percent=D(19)),
    ]
    tariff = tariff_of(*versions)
    found = cost(tariff, usage, zone)
    assert sum(nets_of(found), D(0)) == found.net == sum((one.net for one in found.taxes), D(0))
    assert sum((one.tax for one in found.taxes), D(0)) == found.tax
    assert found.gross == found.net + found.tax
    for line in found.lines:
        assert line.net.as_tuple().exponent == -2
        assert 0 <= line.estimated <= 1
        if line.unit != "day":
            assert abs(line.net - line.quantity * line.price) <= D("0.005")
    assert _numbers(found) == {Decimal, int}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Cost) == found
    with localcontext(prec=3):
        assert cost(tariff, usage, zone) == found


def _numbers(found: Cost) -> set[type]:
    kinds: set[type] = set()
    waiting: list[object] = [msgspec.to_builtins(found, builtin_types=(Decimal, date))]
    while waiting:
        match waiting.pop():
            case dict() as several:
                waiting += several.values()
            case list() | tuple() as several:
                waiting += several
            case int() | float() | Decimal() as number:
                kinds.add(type(number))
    return kinds
