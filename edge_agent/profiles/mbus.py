"""M-Bus device types as data: which records of a telegram become which registers."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from itertools import pairwise

from msgspec import Struct

from common.errors import ConfigError
from common.ids import KEY, KEY_RULE
from common.reading import Measured, Quality
from common.registers import KINDS, Kind, Medium, Register
from common.settings import parse_toml
from edge_agent.profiles import files
from edge_agent.protocols.mbus.dif import Function
from edge_agent.protocols.mbus.record import SUMMER_TIME, Record
from edge_agent.protocols.mbus.state import State
from edge_agent.protocols.mbus.telegram import Telegram
from edge_agent.protocols.mbus.vif_tables import QUANTITIES

_QUALITIES = {
    State.NOT_AVAILABLE: Quality.NOT_AVAILABLE,
    State.NO_DATA: Quality.NOT_AVAILABLE,
    State.OVERFLOW: Quality.OVERFLOW,
}


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a value stands in the meter's data; ``occurrence`` counts equal records from 0."""

    quantity: str
    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    qualifiers: tuple[str, ...] = ()
    occurrence: int = 0

    def matches(self, record: Record) -> bool:
        return (
            self.quantity == record.quantity
            and self.storage == record.storage
            and self.function is record.function
            and self.tariff == record.tariff
            and self.subunit == record.subunit
            and self.qualifiers == tuple(q for q in record.qualifiers if q != SUMMER_TIME)
        )


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One register. Of ``record``, the first place that the telegram has is taken."""

    key: str
    name: str
    kind: Kind
    decimals: int
    record: tuple[Place, ...]
    obis: str | None = None

    def find(self, records: Iterable[Record]) -> Record | None:
        """The record in the kind's own unit; others are not this register."""
        unit = KINDS[self.kind].unit
        usable = [record for record in records if record.unit == unit]
        for place in self.record:
            matching = [record for record in usable if place.matches(record)]
            if len(matching) > place.occurrence:
                return matching[place.occurrence]
        return None


class Recording(Struct, frozen=True, forbid_unknown_fields=True):
    """A telegram (hex, one frame) and the readings it must give; ``none`` is "no value"."""

    origin: str
    telegram: str
    readings: dict[str, str]


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A device type."""

    name: str
    maker: str
    source: str
    medium: str
    register: tuple[Field, ...]
    recorded: Recording

    def registers(self, interval_s: int = 0) -> tuple[Register, ...]:
        """The registers as the rest of the system knows them."""
        medium = Medium[self.medium.upper()]
        return tuple(
            Register(f.key, f.name, medium, f.kind, f.decimals, interval_s, f.obis)
            for f in self.register
        )

    def measure(self, telegrams: Iterable[Telegram]) -> tuple[Measured, ...]:
        """One value for each register, from telegrams that continue each other.

        A register that no record gives is not available, or a device error when a telegram was
        cut short; a meter that reports a permanent error gives every value that quality.
        """
        heard = tuple(telegrams)
        records = [record for telegram in heard for record in telegram.records]
        faulty = any(t.header is not None and t.header.permanent_error for t in heard)
        spoilt = any(t.errors or t.encrypted for t in heard)
        missing = Quality.DEVICE_ERROR if spoilt else Quality.NOT_AVAILABLE
        return tuple(_measured(field, records, missing, faulty) for field in self.register)


def _measured(field: Field, records: list[Record], missing: Quality, faulty: bool) -> Measured:
    record = field.find(records)
    if record is None:
        return Measured(field.key, None, missing)
    quality = Quality.GOOD
    if record.state is not None:
        quality = _QUALITIES.get(record.state, Quality.DEVICE_ERROR)
    elif faulty:
        quality = Quality.DEVICE_ERROR
    value = record.value if isinstance(record.value, Decimal) else None
    if value is None and quality is Quality.GOOD:
        quality = Quality.DEVICE_ERROR
    return Measured(field.key, value, quality, record.count)


def parse_profile(content: bytes, source: str) -> Profile:
    """A profile from TOML; raises ConfigError with file and key."""
    profile = parse_toml(content, Profile, source)
    for key, reason in _faults(profile):
        raise ConfigError(f"{source}: {key}: {reason}")
    return profile


@cache
def load_profile(name: str) -> Profile:
    """The profile ``name`` of this package (``mbus_water``); raises ConfigError."""
    return parse_profile(files.read(name, mbus=True), f"profile {name}.toml")


def profile_names() -> tuple[str, ...]:
    """The M-Bus device types that are known."""
    return files.names(mbus=True)


def _faults(profile: Profile) -> Iterator[tuple[str, str]]:
    """Key and reason of what the types alone do not rule out."""
    if profile.medium.upper() not in Medium.__members__:
        yield "medium", f"{profile.medium!r} is not a medium"
    if not profile.register:
        yield "register", "at least one is needed"
    for number, field in enumerate(profile.register, 1):
        for key, reason in _field_faults(field):
            yield f"register[{number}].{key}", reason
    for one, other in pairwise(sorted(field.key for field in profile.register)):
        if one == other:
            yield "register", f"two registers have the key {one!r}"
    try:
        bytes.fromhex(profile.recorded.telegram)
    except ValueError:
        yield "recorded.telegram", "expected hex bytes"
    if set(profile.recorded.readings) != {field.key for field in profile.register}:
        yield "recorded.readings", "expected one for each register"


def _field_faults(field: Field) -> Iterator[tuple[str, str]]:
    if not KEY.fullmatch(field.key):
        yield "key", f"{field.key[:60]!r} is not {KEY_RULE}"
    if not 0 <= field.decimals <= 9:
        yield "decimals", "expected 0 to 9"
    if not field.record:
        yield "record", "at least one is needed"
    for number, place in enumerate(field.record, 1):
        if place.quantity not in QUANTITIES:
            yield f"record[{number}].quantity", f"{place.quantity!r} is not a quantity of M-Bus"
        if min(place.storage, place.tariff, place.subunit, place.occurrence) < 0:
            yield f"record[{number}]", "no number may be negative"
