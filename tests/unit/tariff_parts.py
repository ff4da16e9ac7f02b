"""What the tests of tariffs and cost share."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.domain.consumption import Step, boundaries
from cloud.domain.cost import Cost
from cloud.domain.tariff_check import check
from cloud.domain.tariffs import Charge, Tariff, Version
from cloud.domain.usage import Usage

BUCHAREST = ZoneInfo("Europe/Bucharest")
ONE = Decimal(1)


def version_of(*charges: Charge, start: str = "2020-01-01", end: str | None = None) -> Version:
    return Version(
        valid_from=date.fromisoformat(start),
        valid_until=date.fromisoformat(end) if end else None,
        charges=charges,
    )


def tariff_of(*versions: Version, unit: str = "m³", decimals: int = 2) -> Tariff:
    tariff = Tariff(
        key="home", name="Home", currency="EUR", unit=unit, versions=versions, decimals=decimals
    )
    check(tariff)
    return tariff


def hours(
    start: str, end: str, quantity: Decimal | None = ONE, zone: ZoneInfo = BUCHAREST
) -> list[Usage]:
    """The local hours between two local times, the same in each."""
    first, last = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (start, end))
    marks = boundaries(Step.HOUR, first, last, zone)
    return [Usage(one, other, quantity) for one, other in pairwise(marks)]


def by_part(found: Cost) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for line in found.lines:
        sums[line.part] += line.quantity
    return dict(sums)


def nets_of(found: Cost) -> list[Decimal]:
    return [line.net for line in found.lines]
