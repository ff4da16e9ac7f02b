"""What usage costs by a tariff: exact, and the same whenever it is computed again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, ROUND_UP, Context, Decimal, localcontext
from itertools import pairwise
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from msgspec import Struct

from cloud.domain.tariffs import Blocks, Charge, Fixed, PerUnit, Standing, Tariff, TimeOfUse
from cloud.domain.usage import CUT, ZERO, Part, Segment, Usage, segments_of

OTHER_TIMES = "other times"
"""The part of a time of use that is in no band."""

EXACT = Context(prec=80)
"""In which nothing that is added up here is ever rounded."""

_SHARE = Decimal("0.0001")
_DAY = timedelta(days=1)


class Line(Struct, frozen=True):
    """What one charge, or a band or block of it, costs on the days ``start`` to before ``end``.

    ``quantity`` is in ``unit``; ``price`` is for one ``per``. ``estimated`` is the share of the
    quantity that is estimated, 0 to 1, rounded up: it is 0 only when nothing is.
    """

    charge: str
    part: str
    start: date
    end: date
    quantity: Decimal
    unit: str
    price: Decimal
    per: str
    net: Decimal
    tax_percent: Decimal
    estimated: Decimal


class Tax(Struct, frozen=True):
    """The tax at one rate, on the sum of the lines that have it."""

    percent: Decimal
    net: Decimal
    tax: Decimal


class NotPriced(Struct, frozen=True):
    """What was used in a month on days, ``start`` to before ``end``, that no version covers."""

    start: date
    end: date
    length_s: int
    quantity: Decimal


class Cost(Struct, frozen=True):
    """Lines and their totals in ``currency``; quantities in ``unit``.

    ``estimated`` is how much of ``quantity`` is estimated, or divided between two bands or days.
    For ``missing_s`` there is no quantity, so that nothing but standing charges is in the cost.
    """

    currency: str
    unit: str
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    net: Decimal
    tax: Decimal
    gross: Decimal
    quantity: Decimal
    estimated: Decimal
    missing_s: int
    not_priced: tuple[NotPriced, ...]


def cost(tariff: Tariff, usage: Sequence[Usage], zone: ZoneInfo) -> Cost:
    """What ``usage`` costs on a site in ``zone`` by a tariff that ``check`` let pass.

    Each line is exact until it is rounded, half up, to the decimals of the currency. Tax is
    computed for each rate on the sum of its lines, and rounded once. So the totals are the exact
    sums of what is shown.

    There are lines for each month, and version in it. A local day, of 23, 24 or 25 hours, counts
    when any of it is in ``usage``; standing charges and a month's blocks go by these days. A fixed
    charge is that of the first version in a month. A line of quantity 0 is left out.

    What was used across the edge of a band or a local day is divided by time, so that the shares
    add up exactly; it counts as estimated in charges by band or day, and in all where the version
    or the month changes there. Each block is as estimated as all of them together.

    Raises Permanent when usage is not consecutive, or negative.
    """
    with localcontext(EXACT):
        segments = segments_of(tariff, usage, zone)
        lines = tuple(_lines(tariff, segments))
        taxes = tuple(_taxes(tariff, lines))
        net = sum((line.net for line in lines), _rounded(ZERO, tariff))
        tax = sum((one.tax for one in taxes), _rounded(ZERO, tariff))
        parts = [part for segment in segments for part in segment.parts]
        return Cost(
            currency=tariff.currency,
            unit=tariff.unit,
            lines=lines,
            taxes=taxes,
            net=net,
            tax=tax,
            gross=net + tax,
            quantity=_plain(_total(parts)),
            estimated=_plain(_unsure(parts)),
            missing_s=sum(segment.missing // timedelta(seconds=1) for segment in segments),
            not_priced=tuple(_not_priced(one) for one in segments if one.version is None),
        )


def taxes_by_line(cost: Cost) -> list[Decimal]:
    """The part of the tax that falls to each line. The parts of a rate add up to its tax exactly:
    each is what the rounded tax grows by when its line is added."""
    found = []
    sums: dict[Decimal, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT):
        cent = Decimal(1).scaleb(int(cost.net.as_tuple().exponent))
        for line in cost.lines:
            before = sums[line.tax_percent]
            after = sums[line.tax_percent] = before + line.net
            found.append(_tax(after, line.tax_percent, cent) - _tax(before, line.tax_percent, cent))
    return found


class _Item(NamedTuple):
    """A line before it is rounded; ``estimated`` is a share."""

    part: str
    quantity: Decimal
    unit: str
    price: Decimal
    per: str
    amount: Decimal
    estimated: Decimal = ZERO


def _lines(tariff: Tariff, segments: Iterable[Segment]) -> Iterator[Line]:
    begun = set()
    for segment in segments:
        if segment.version is None:
            continue
        first = segment.month not in begun
        begun.add(segment.month)
        start, end = min(segment.days), max(segment.days) + _DAY
        for charge in segment.version.charges:
            own = charge.tax_percent
            percent = segment.version.tax_percent if own is None else own
            for item in _items(charge, segment, tariff.unit, first):
                if item.quantity:
                    yield Line(
                        charge=charge.name,
                        part=item.part,
                        start=start,
                        end=end,
                        quantity=item.quantity,
                        unit=item.unit,
                        price=item.price,
                        per=item.per,
                        net=_rounded(item.amount, tariff),
                        tax_percent=percent,
                        estimated=item.estimated,
                    )


def _items(charge: Charge, segment: Segment, unit: str, first: bool) -> Iterator[_Item]:
    match charge:
        case Standing():
            days = Decimal(len(segment.days))
            of = {"day": 1, "month": segment.month_days, "year": segment.year_days}[charge.per]
            yield _Item("", days, "day", charge.amount, charge.per, charge.amount * days / of)
        case Fixed():
            if first:
                yield _Item("", Decimal(1), "month", charge.amount, "month", charge.amount)
        case PerUnit():
            total = _total(segment.parts)
            yield _used("", total, unit, charge.price, _share(_estimated(segment.parts), total))
        case Blocks():
            yield from _block_items(charge, segment, unit)
        case TimeOfUse():
            yield from _band_items(charge, segment, unit)
        case _:
            assert_never(charge)


def _block_items(charge: Blocks, segment: Segment, unit: str) -> Iterator[_Item]:
    by_day = charge.per == "day"
    limits = [block.up_to for block in charge.blocks]
    if by_day:
        of_day: dict[date, Decimal] = defaultdict(Decimal)
        for part in segment.parts:
            of_day[part.day] += part.quantity
        sums, unsure = list(of_day.values()), _unsure(segment.parts)
    else:
        days = len(segment.days)
        limits = [up_to and (up_to * days / segment.month_days).quantize(CUT) for up_to in limits]
        sums, unsure = [_total(segment.parts)], _estimated(segment.parts)
    filled = [_filled(limits, quantity) for quantity in sums]
    estimated = _share(unsure, sum(sums, ZERO))
    below = ZERO
    for block, quantities in zip(charge.blocks, zip(*filled, strict=True), strict=False):
        name = f"above {below:f}" if block.up_to is None else f"up to {block.up_to:f}"
        yield _used(name, sum(quantities, ZERO), unit, block.price, estimated)
        below = block.up_to or below


def _filled(limits: Sequence[Decimal | None], quantity: Decimal) -> list[Decimal]:
    """How much of ``quantity`` is in each block."""
    marks = [quantity if limit is None else min(limit, quantity) for limit in limits]
    return [above - below for below, above in pairwise([ZERO, *marks])]


def _band_items(charge: TimeOfUse, segment: Segment, unit: str) -> Iterator[_Item]:
    of_band: dict[str | None, list[Part]] = defaultdict(list)
    for part in segment.parts:
        band = segment.band(charge, part)
        of_band[band.name if band else None].append(part)
    prices = [(band.name, band.price) for band in charge.bands]
    for name, price in [*prices, (None, charge.price)]:
        if name in of_band and price is not None:
            parts = of_band[name]
            total = _total(parts)
            estimated = _share(_unsure(parts), total)
            yield _used(name or OTHER_TIMES, total, unit, price, estimated)


def _used(part: str, quantity: Decimal, unit: str, price: Decimal, estimated: Decimal) -> _Item:
    return _Item(part, _plain(quantity), unit, price, unit, quantity * price, estimated)


def _total(parts: Iterable[Part]) -> Decimal:
    return sum((part.quantity for part in parts), ZERO)


def _estimated(parts: Iterable[Part]) -> Decimal:
    return sum((part.estimated for part in parts), ZERO)


def _unsure(parts: Iterable[Part]) -> Decimal:
    return sum((part.unsure for part in parts), ZERO)


def _plain(quantity: Decimal) -> Decimal:
    """The same number without zeros at its end and without an exponent."""
    return quantity.normalize() + ZERO


def _share(estimated: Decimal, total: Decimal) -> Decimal:
    return (estimated / total).quantize(_SHARE, ROUND_UP) if estimated else ZERO


def _rounded(amount: Decimal, tariff: Tariff) -> Decimal:
    return amount.quantize(_cent(tariff), ROUND_HALF_UP)


def _cent(tariff: Tariff) -> Decimal:
    """The smallest amount of the currency."""
    return Decimal(1).scaleb(-tariff.decimals)


def _not_priced(segment: Segment) -> NotPriced:
    return NotPriced(
        min(segment.days),
        max(segment.days) + _DAY,
        segment.length // timedelta(seconds=1),
        _plain(_total(segment.parts)),
    )


def _taxes(tariff: Tariff, lines: Iterable[Line]) -> Iterator[Tax]:
    nets: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in lines:
        nets[line.tax_percent] += line.net
    for percent, net in sorted(nets.items()):
        yield Tax(percent, net, _tax(net, percent, _cent(tariff)))


def _tax(net: Decimal, percent: Decimal, cent: Decimal) -> Decimal:
    return (net * percent / 100).quantize(cent, ROUND_HALF_UP)
