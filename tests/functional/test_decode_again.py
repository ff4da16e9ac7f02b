"""Messages that are kept are taken apart again, compared, and what is missing is put in."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cloud.__main__ import FAILED, GOOD, main
from cloud.domain.consumption import HOUR_MS
from cloud.services import messages
from cloud.services.decoding import Decoded, Found, decode_again
from cloud.services.ingest import ingest
from cloud.services.parcels import Parcel, Received, unpack
from cloud.services.points import Change
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.messages.envelope import encode, inflate
from common.messages.uplink import Readings, Salvaged, Value
from tests.harness.says import NOW, STREAM, VOLUME_NO, Gateway, catalog, power
from tests.harness.tables import rows_of

BASE = NOW - 10_000
OLD = "a" * 32
CHANGE = Change("ana", NOW + 60_000)


@pytest.fixture
def heard(store: Store) -> Store:
    """Ten readings of power, one of volume and one that was salvaged, all stored."""
    gateway, old = Gateway(), Gateway(stream=OLD)
    ingest(store, [old.hello(), old.batch(1, catalog())], NOW)
    ingest(store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    volume = Readings(BASE, [Value(VOLUME_NO, 7)])
    salvaged = Salvaged(NOW, OLD, 5, msgspec.Raw(encode(power(BASE + 90, 90))))
    batch = gateway.batch(2, *(power(BASE + n, n) for n in range(10)), volume, salvaged)
    ingest(store, [batch, batch], NOW)
    roll_up(store)
    return store


def again(store: Store, change: Change | None = None) -> Decoded:
    [(gateway,)] = rows_of(store, "SELECT id FROM gateway")
    return decode_again(store, int(gateway), 0, NOW + HOUR_MS, change)


def remove(store: Store, query: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql(query)


def test_what_is_stored_is_the_same_and_is_counted_once(heard: Store) -> None:
    found = again(heard)
    assert found.registers == {
        ("meter", "power"): Counter({Found.SAME: 11}),
        ("meter", "volume"): Counter({Found.SAME: 1}),
    }
    assert (found.messages, found.unreadable, found.nameless, found.stored) == (4, 0, 0, 0)


def test_what_is_missing_is_put_in_once_and_its_hours_are_summed_up(heard: Store) -> None:
    before = rows_of(heard, "SELECT register_id, at, value FROM reading ORDER BY register_id, at")
    summed = rows_of(heard, "SELECT readings FROM hourly ORDER BY register_id, at")
    remove(heard, f"DELETE FROM reading WHERE at > {BASE + 6}")
    remove(heard, "UPDATE hourly SET readings = 1")
    looked = again(heard)
    assert looked.registers["meter", "power"] == Counter({Found.SAME: 7, Found.MISSING: 4})
    assert rows_of(heard, f"SELECT at FROM reading WHERE at > {BASE + 6}") == []
    assert again(heard, CHANGE).stored == 4
    again_there = "SELECT register_id, at, value FROM reading ORDER BY register_id, at"
    assert rows_of(heard, again_there) == before
    assert roll_up(heard) > 0
    assert max(rows_of(heard, "SELECT readings FROM hourly")) == max(summed)
    assert again(heard, CHANGE).stored == 0
    assert rows_of(heard, "SELECT action, subject FROM audit") == [("decoded_again", "messages")]


def test_what_is_otherwise_is_told_and_stays_as_it_is(heard: Store) -> None:
    remove(heard, f"UPDATE reading SET value = 500 WHERE at = {BASE + 3}")
    found = again(heard, CHANGE)
    assert found.registers["meter", "power"] == Counter({Found.SAME: 10, Found.DIFFERENT: 1})
    assert rows_of(heard, f"SELECT value FROM reading WHERE at = {BASE + 3}") == [(500,)]


def test_a_message_that_was_not_understood_then_brings_its_readings_today(
    heard: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = Gateway().batch(20, power(BASE + 200, 5)).payload
    newer = inflate(payload).replace(b'"n":[1]', b'"n":{"1":1}')
    assert newer != payload
    ingest(heard, [Gateway().received("journal", newer)], NOW)
    assert again(heard).unreadable == 1

    def understands(message: Received, now_ms: int) -> Parcel:
        known = replace(message, payload=payload) if message.payload == newer else message
        return unpack(known, now_ms)

    monkeypatch.setattr(messages, "unpack", understands)
    assert again(heard, CHANGE).stored == 1
    assert rows_of(heard, f"SELECT value FROM reading WHERE at = {BASE + 200}") == [(5,)]


def test_the_command_lists_shows_and_decodes(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(f'[database]\nurl = "{sqlite_url}"\n')
    gateway = Gateway()
    batch = gateway.batch(2, power(BASE, 15))
    ingest(sqlite_store, [gateway.hello(), gateway.batch(1, catalog())], NOW)
    gateway.now_ms += 1
    ingest(sqlite_store, [gateway.batch(2, power(BASE, 15))], NOW)

    def say(*words: str) -> bytes:
        assert main(["--config", str(config), "messages", *words]) == GOOD
        return capfdbinary.readouterr().out

    listed = say("list", "gw-1", "--limit", "1").decode().split("\t")
    assert listed[2:] == ["journal", STREAM, "2..2", str(len(batch.payload)), "stored\n"]
    assert b"meter/power\t1.5\tgood" in say("show", "gw-1", listed[0])
    assert say("show", "gw-1", listed[0], "--raw") == batch.payload
    remove(sqlite_store, "DELETE FROM reading")
    span = ("decode-again", "gw-1", "--from", "2025-01-01T00:00:00Z")
    assert b"meter/power\t1 missing\n" in say(*span)
    assert b"1 readings put in" in say(*span, "--store")
    assert b"meter/power\t1 same\n" in say(*span)
    assert main(["--config", str(config), "messages", "list", "gw-9"]) == FAILED
