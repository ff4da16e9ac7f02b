"""What services give of metering points: plain values, ready to be shown."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cloud.services.views import ConsumptionView
from common.registers import Kind, Medium


@dataclass(frozen=True, slots=True)
class InstallationView:
    """A meter under a metering point. Indexes stand on its face, in the register's base unit."""

    id: int
    register_id: int
    device_id: int
    device: str
    serial: str
    multiplier: Decimal
    start: datetime
    start_index: Decimal
    end: datetime | None
    final_index: Decimal | None
    rollover: Decimal | None


@dataclass(frozen=True, slots=True)
class TermView:
    """A metering point that a virtual one is made of, times ``factor``."""

    point_id: int
    point: str
    factor: Decimal


@dataclass(frozen=True, slots=True)
class PointView:
    """A metering point: what is billed. ``installations`` in order of time; a virtual one has
    none, and ``terms``."""

    id: int
    key: str
    name: str
    site: str
    timezone: str
    medium: Medium
    kind: Kind
    unit: str
    parent_id: int | None
    installations: tuple[InstallationView, ...]
    terms: tuple[TermView, ...]


@dataclass(frozen=True, slots=True)
class SiteConsumptionView:
    """A metering point of a site, and what it consumed in each period."""

    point_id: int
    key: str
    name: str
    periods: list[ConsumptionView]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """Something that somebody did to a metering point."""

    at: datetime
    by: str
    action: str
    reason: str
    detail: dict[str, str]
