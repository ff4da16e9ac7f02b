"""What services give to pages, routes and workers: plain values, ready to be shown.

Times are aware UTC datetimes, values exact Decimals in the register's base unit.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from common.reading import Quality
from common.registers import Kind, Medium


class Role(StrEnum):
    """What an account may do; each role includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class AccountView:
    id: int
    name: str
    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class SiteView:
    id: int
    key: str
    name: str
    timezone: str
    gateways: int
    gateways_online: int
    meters: int


@dataclass(frozen=True, slots=True)
class DeviceHealthView:
    """A device as its gateway reports it; ``state`` is unknown, ok or failing."""

    key: str
    name: str
    driver: str
    state: str
    last_ok_at: datetime | None
    failures: int
    error: str


@dataclass(frozen=True, slots=True)
class GatewayView:
    """``queued`` entries wait on the gateway; ``missing`` are entries that the ledger lacks.

    ``committed`` counts the entries that came, ``lost`` those that never will, and are explained;
    ``missing`` those that are known to exist and are neither.
    """

    id: int
    key: str
    name: str
    site: str
    site_name: str
    agent: str
    online: bool
    seen_at: datetime | None
    status_at: datetime | None
    queued: int
    oldest_at: datetime | None
    journal_bytes: int
    committed: int
    missing: int
    rejected: int
    lost: int
    devices: tuple[DeviceHealthView, ...]


@dataclass(frozen=True, slots=True)
class ConfigVersionView:
    """A configuration that was wanted of a gateway; ``state`` is what was last heard of it."""

    version: int
    set_by: str
    reason: str
    set_at: datetime
    state: str
    detail: str
    state_at: datetime
    sent_at: datetime | None
    toml: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """What is desired of a gateway, and what it reports; ``running`` 0 is its own file.

    ``running`` is None when it has not said so yet, or its agent takes no configurations.
    """

    gateway_id: int
    gateway: str
    desired: ConfigVersionView | None
    running: int | None
    trial: bool
    refused: int | None
    refused_reason: str
    reported_at: datetime | None


@dataclass(frozen=True, slots=True)
class RegisterView:
    id: int
    key: str
    name: str
    medium: Medium
    kind: Kind
    unit: str
    decimals: int
    obis: str | None
    interval_s: int
    counting: bool
    states: tuple[str, str] | None
    writable: bool


@dataclass(frozen=True, slots=True)
class ReadingView:
    """``value`` is None when the device gave none; ``quality`` says why."""

    at: datetime
    value: Decimal | None
    quality: Quality
    raw: int | None


@dataclass(frozen=True, slots=True)
class LatestView:
    """A register with its newest reading; ``stale`` when it is older than it should be."""

    register: RegisterView
    reading: ReadingView | None
    stale: bool


@dataclass(frozen=True, slots=True)
class MeterView:
    """A device with a counting register: ``index`` is that, ``rate`` its power or flow."""

    id: int
    key: str
    name: str
    driver: str
    model: str
    gateway: str
    site: str
    site_name: str
    timezone: str
    medium: Medium
    online: bool
    index: LatestView | None
    rate: LatestView | None
    registers: tuple[LatestView, ...]


# One question makes thousands of them, and a struct is made in a tenth of a dataclass's time.
class ConsumptionView(Struct, frozen=True):
    """Consumption from ``start`` (inclusive) to ``end``: the difference of the index there.

    ``value`` is None when there is no reading to tell from; ``estimated`` when the index at a
    boundary was interpolated between readings that are too far from it, or the period is not over.
    ``corrected``: a person has taken out readings of it or put in values.
    ``measured_percent``: how much of the time lies between readings that are near each other.
    ``missing``: of a virtual metering point, the keys of those whose readings do not tell.
    """

    start: datetime
    end: datetime
    value: Decimal | None
    estimated: bool
    corrected: bool
    measured_percent: Decimal
    missing: tuple[str, ...] = ()

    @property
    def quality(self) -> str:
        """In a word: the strongest that a person has to know."""
        if self.value is None:
            return "missing"
        if self.corrected:
            return "corrected"
        return "estimated" if self.estimated else "measured"


@dataclass(frozen=True, slots=True)
class StepView:
    state: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class CommandView:
    id: str
    register_id: int
    gateway: str
    device: str
    register: str
    value: int
    wanted: str
    state: str
    final: bool
    issued_by: str
    reason: str
    issued_at: datetime
    expires_at: datetime
    done_at: datetime | None
    readback: int | None
    detail: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class OutputView:
    """An output: its state as read back, and the newest command to it."""

    register: RegisterView
    device: str
    device_name: str
    gateway: str
    site_name: str
    timezone: str
    online: bool
    reading: ReadingView | None
    stale: bool
    last_command: CommandView | None


@dataclass(frozen=True, slots=True)
class EventView:
    stream_id: int
    seq: int
    gateway: str
    device: str
    at: datetime
    appended_at: datetime | None
    received_at: datetime
    code: str
    severity: str
    text: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class ClockSpanView:
    """Entries first..last were dated by one clock: a boot's, ``ahead_ms`` of its monotonic one."""

    first: int
    last: int
    boot: int
    ahead_ms: int
    quality: str


@dataclass(frozen=True, slots=True)
class RuleView:
    id: int
    name: str
    enabled: bool
    source: str
    above: Decimal
    below: Decimal
    unit: str
    output: str
    output_register_id: int | None
    hold_s: int
    max_age_s: int
    set_to: int | None
    changed_at: datetime
