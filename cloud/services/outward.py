"""What metering points say to others over MQTT: their index, and how Home Assistant finds it.

docs/outward.md describes the messages.
"""

from collections import defaultdict

import msgspec

from cloud.domain.consumption import Index
from cloud.domain.installations import Chain
from cloud.domain.outward import Topics
from cloud.services.boundaries import zone_of
from cloud.storage.meters import ReadingRow
from cloud.storage.points import InstalledRow, PointRow
from cloud.storage.unit_of_work import Store
from common.clock import to_datetime
from common.reading import Quality, from_scaled
from common.registers import KINDS, Kind, Medium

WATER = {
    Medium.WATER,
    Medium.COLD_WATER,
    Medium.HOT_WATER,
    Medium.HOT_WATER_90,
    Medium.DUAL_WATER,
    Medium.WASTE_WATER,
}


class PointMessage(msgspec.Struct, frozen=True):
    """``index`` is an exact decimal in ``unit``, null where the device gave none; ``at``: when it
    was read, by the site's clocks."""

    index: str | None
    unit: str
    at: str
    quality: str


class HomeDevice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What Home Assistant shows as a device: the metering point, with its meter."""

    identifiers: list[str]
    name: str
    suggested_area: str
    model: str = ""
    serial_number: str = ""


class HomeSensor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Home Assistant's discovery message of a sensor. ``name`` null: the device's is enough."""

    unique_id: str
    state_topic: str
    availability_topic: str
    device: HomeDevice
    origin: dict[str, str]
    name: None
    qos: int
    value_template: str
    state_class: str
    device_class: str = ""
    unit_of_measurement: str = ""


def messages(store: Store, topics: Topics) -> dict[str, bytes]:
    """By topic what is to be retained now of all metering points that ever had a meter.

    Asks the same few questions, however many there are.
    """
    with store.read() as uow:
        points = uow.points.all()
        installed = defaultdict(list)
        for row in uow.points.installed([point.id for point in points]):
            installed[row.point_id].append(row)
        newest = uow.newest.of_installed()
        sites = uow.newest.site_names()
    said: dict[str, bytes] = {}
    for point in points:
        rows = installed[point.id]
        message = _message(point, rows, newest)
        if message is None:
            continue
        said[topics.point(point.site, point.key)] = msgspec.json.encode(message)
        if topics.discovery:
            sensor = _sensor(point, sites.get(point.site, point.site), rows[-1], topics)
            said[topics.sensor(point.key)] = msgspec.json.encode(sensor)
    return said


def _message(
    point: PointRow, rows: list[InstalledRow], newest: dict[int, ReadingRow]
) -> PointMessage | None:
    chain = Chain([row.installation for row in rows])
    last = _last(rows, newest)
    value = None if last is None else last.value
    index = chain.newest(None if last is None else Index(last.at, value or 0))
    if index is None:
        return None
    unread = last is not None and value is None
    return PointMessage(
        index=None if unread else format(from_scaled(index.value, chain.decimals), "f"),
        unit=KINDS[point.kind].unit,
        at=to_datetime(index.at).astimezone(zone_of(point.timezone)).isoformat(),
        quality=Quality(last.quality if last else Quality.GOOD).name.lower(),
    )


def _last(rows: list[InstalledRow], newest: dict[int, ReadingRow]) -> ReadingRow | None:
    """The last reading of the meter that is installed, if that counted by then."""
    if not rows or rows[-1].installation.end_at is not None:
        return None
    found = newest.get(rows[-1].installation.register_id)
    return found if found and found.at >= rows[-1].installation.start_at else None


def _sensor(point: PointRow, site: str, meter: InstalledRow, topics: Topics) -> HomeSensor:
    id_ = f"{topics.node}_{point.key}"
    return HomeSensor(
        unique_id=id_,
        state_topic=topics.point(point.site, point.key),
        availability_topic=topics.status,
        device=HomeDevice(
            identifiers=[id_],
            name=point.name,
            suggested_area=site,
            model=meter.device,
            serial_number=meter.serial,
        ),
        origin={"name": "inMetter"},
        name=None,
        qos=1,
        value_template="{{ value_json.index }}",
        state_class="total_increasing",
        device_class=_device_class(point),
        unit_of_measurement=KINDS[point.kind].unit,
    )


def _device_class(point: PointRow) -> str:
    """Home Assistant's; each takes the unit that we have."""
    if point.kind in {Kind.ENERGY_IMPORT, Kind.ENERGY_EXPORT}:
        return "energy"
    if point.kind is not Kind.VOLUME:
        return ""
    if point.medium in WATER:
        return "water"
    return "gas" if point.medium is Medium.GAS else "volume"
