"""What a gateway says, as messages: short forms for tests of the cloud."""

import msgspec

from cloud.services.ingest import Received
from common import topics
from common.messages.batch import Entry, pack
from common.messages.envelope import VERSION, encode
from common.messages.uplink import (
    Body,
    Catalog,
    CatalogDevice,
    CatalogRegister,
    Hello,
    Readings,
    Value,
)
from common.registers import Kind, Medium, Register

STREAM = "0f5c2d6c1a9b4e0e8f7a6b5c4d3e2f10"
NOW = 1_763_900_000_000

POWER = Register("power", "Power", Medium.ELECTRICITY, Kind.POWER, 1, interval_s=60)
VOLUME = Register("volume", "Volume", Medium.COLD_WATER, Kind.VOLUME, 3, interval_s=60)
ROOF = Register(
    "roof", "Roof", Medium.OTHER, Kind.OUTPUT, 0, states=("closed", "open"), writable=True
)
POWER_NO, VOLUME_NO, ROOF_NO = 1, 2, 3
"""The numbers of POWER, VOLUME and ROOF in ``catalog()``."""


class _Header(msgspec.Struct):
    stream: str
    first: int
    last: int
    v: int = VERSION


class Gateway:
    """Speaks for one gateway and one stream. Messages are received at ``now_ms``."""

    def __init__(self, key: str = "gw-1", stream: str = STREAM, now_ms: int = NOW) -> None:
        self.key = key
        self.stream = stream
        self.now_ms = now_ms

    def received(self, leaf: str, payload: bytes) -> Received:
        return Received(topics.up(self.key, leaf), payload, self.now_ms)

    def hello(
        self,
        *,
        first_kept: int = 1,
        next_seq: int = 1,
        boot: int = 1,
        session: int = 1,
        site: str = "hall",
        timezone: str = "Europe/Bucharest",
    ) -> Received:
        message = Hello(
            self.stream,
            first_kept,
            next_seq,
            boot,
            session,
            name=f"Gateway {self.key}",
            site=site,
            site_name="Hall",
            timezone=timezone,
            agent="test",
        )
        return self.received("hello", encode(message))

    def batch(self, first: int, *bodies: Body | msgspec.Raw) -> Received:
        """Entries ``first``, first + 1, … with these bodies; a Raw goes out as it is."""
        entries = [
            Entry(first + n, b if isinstance(b, msgspec.Raw) else msgspec.Raw(encode(b)))
            for n, b in enumerate(bodies)
        ]
        if not entries:
            return self.received("journal", encode(_Header(self.stream, first, first - 1)))
        return self.received("journal", pack(self.stream, entries))


def catalog(*registers: CatalogRegister, at: int = NOW) -> Catalog:
    """One device ``meter`` with POWER, VOLUME and ROOF, or with ``registers``."""
    usual = (
        CatalogRegister(POWER_NO, POWER),
        CatalogRegister(VOLUME_NO, VOLUME),
        CatalogRegister(ROOF_NO, ROOF),
    )
    return Catalog(at, [CatalogDevice("meter", "Meter", "mbus", list(registers or usual))])


def power(at: int, tenths_of_a_watt: int | None, quality: int = 0) -> Readings:
    """A reading of POWER."""
    return Readings(at, [Value(POWER_NO, tenths_of_a_watt, quality)])
