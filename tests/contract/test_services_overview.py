"""Sites, gateways, events and outputs, on each kind of database."""

import pytest

from cloud.services import commands, events, gateways, inventory, outputs
from cloud.services.store import Store
from common.clock import to_datetime
from common.errors import NotFound
from common.messages.uplink import DeviceStatus
from common.registers import Kind
from tests.harness.masterdata import MasterData

NOW = 1_790_000_000_000
OTHER_STREAM = "f" * 32


def test_sites_count_their_gateways_and_meters(store: Store, data: MasterData) -> None:
    mill, hall = data.add_site("mill"), data.add_site("hall", timezone="UTC")
    first = data.add_gateway(mill, "gw-1", seen_at=NOW)
    data.add_gateway(mill, "gw-2", online=False, seen_at=NOW)
    device = data.add_device(first)
    data.add_register(device)
    data.add_register(device, "pulses", kind=Kind.PULSES)
    data.add_register(data.add_device(first, "roof"), "output", kind=Kind.OUTPUT)
    data.add_register(data.add_device(first, "old", active=False))
    found = inventory.sites(store, NOW)
    assert [site.key for site in found] == ["hall", "mill"]
    assert [(site.gateways, site.gateways_online, site.meters) for site in found] == [
        (0, 0, 0),
        (2, 1, 1),
    ]
    assert inventory.site(store, hall, NOW).timezone == "UTC"
    with pytest.raises(NotFound):
        inventory.site(store, 4711, NOW)


@pytest.mark.parametrize(
    ("said", "age_ms", "online"),
    [(True, 0, True), (True, 90_000, True), (True, 90_001, False), (False, 0, False)],
)
def test_a_gateway_is_online_when_it_said_so_and_was_seen_recently(
    *, store: Store, data: MasterData, said: bool, age_ms: int, online: bool
) -> None:
    data.add_gateway(data.add_site(), online=said, seen_at=NOW - age_ms)
    (found,) = gateways.gateways(store, NOW)
    assert found.online is online


def test_a_gateway_that_was_never_seen_is_not_online(store: Store, data: MasterData) -> None:
    data.add_gateway(data.add_site(), seen_at=None)
    (found,) = gateways.gateways(store, NOW)
    assert (found.online, found.seen_at) == (False, None)


def test_the_books_of_a_gateway_are_added_over_its_streams(store: Store, data: MasterData) -> None:
    site = data.add_site()
    first, second = data.add_gateway(site, "gw-1", queued=5), data.add_gateway(site, "gw-2")
    stream = data.add_stream(first, [(1, 10), (21, 30)])
    data.add_stream(first, [(3, 4)], stream=OTHER_STREAM)
    data.add_stream(second)
    data.add_rejected(stream, 7)
    found = {gateway.key: gateway for gateway in gateways.gateways(store, NOW)}
    books = [(one.committed, one.missing, one.rejected, one.queued) for one in found.values()]
    assert books == [(22, 12, 1, 5), (0, 0, 0, 0)]
    assert gateways.gateway(store, second, NOW).key == "gw-2"
    with pytest.raises(NotFound):
        gateways.gateway(store, 4711, NOW)


def test_devices_are_as_healthy_as_their_gateway_says(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(
        data.add_site(),
        seen_at=NOW,
        devices=[DeviceStatus("b", "failing", last_ok_at=1000, failures=3, error="no answer")],
    )
    data.add_device(gateway, "b")
    data.add_device(gateway, "a")
    (found,) = gateways.gateways(store, NOW)
    assert [(one.key, one.state, one.failures) for one in found.devices] == [
        ("a", "unknown", 0),
        ("b", "failing", 3),
    ]
    assert found.devices[1].last_ok_at == to_datetime(1000)


def test_alarms_are_open_until_somebody_acknowledges_them(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(data.add_site())
    stream = data.add_stream(gateway)
    data.add_event(stream, 1, gateway, at=1000)
    data.add_event(stream, 2, gateway, at=3000)
    data.add_event(stream, 3, gateway, at=2000, severity="info")
    assert [event.seq for event in events.recent(store, 10)] == [2, 3, 1]
    assert [event.seq for event in events.recent(store, 1)] == [2]
    assert [event.seq for event in events.alarms(store, 10)] == [2, 1]

    events.acknowledge(store, stream, 2, "ana", NOW)
    events.acknowledge(store, stream, 2, "bogdan", NOW + 1)

    assert [event.seq for event in events.alarms(store, 10)] == [1]
    acknowledged = events.recent(store, 1)[0]
    assert acknowledged.acknowledged_by == "ana"
    assert acknowledged.acknowledged_at == to_datetime(NOW)
    assert acknowledged.gateway == "gw-1"
    with pytest.raises(NotFound):
        events.acknowledge(store, stream, 99, "ana", NOW)


def test_an_output_shows_its_state_and_the_newest_command(store: Store, data: MasterData) -> None:
    gateway = data.add_gateway(data.add_site(), seen_at=NOW)
    roof = data.add_device(gateway, "roof")
    left = data.add_register(roof, "left", kind=Kind.OUTPUT, decimals=0)
    right = data.add_register(roof, "right", kind=Kind.OUTPUT, decimals=0)
    volume = data.add_register(roof, "volume")
    data.add_readings(left, [(NOW - 1000, 1)])
    for value, at in ((1, NOW), (0, NOW + 5000)):
        commands.issue(store, register_id=left, value=value, issued_by="ana", ttl_s=60, now_ms=at)

    first, second = outputs.outputs(store, NOW)

    assert (first.register.id, first.register.states) == (left, ("closed", "open"))
    assert first.reading is not None
    assert first.reading.value == 1
    assert first.last_command is not None
    assert first.last_command.wanted == "closed"
    assert (first.online, first.device, first.gateway) == (True, "roof", "gw-1")
    assert (second.register.id, second.reading, second.last_command) == (right, None, None)
    assert outputs.output(store, left, NOW) == first
    for nothing in (volume, 4711):
        with pytest.raises(NotFound):
            outputs.output(store, nothing, NOW)


def test_an_empty_database_shows_nothing(store: Store) -> None:
    assert inventory.sites(store, NOW) == []
    assert gateways.gateways(store, NOW) == []
    assert outputs.outputs(store, NOW) == []
    assert events.alarms(store, 10) == []
