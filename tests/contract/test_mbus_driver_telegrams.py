"""What a meter answers is kept as it came, where that is wanted."""

import contextlib

import pytest

from common.clock import ManualClock
from common.errors import Undecodable
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus import MbusMeter
from edge_agent.profiles.mbus import load_profile
from edge_agent.protocols.mbus import encode
from edge_agent.protocols.mbus.answers import sealed_response
from edge_agent.simulators.mbus import Bus
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.contract.mbus_site import BusTransport, line_through
from tests.contract.test_mbus_driver import IDENTITY, Scripted, meter
from tests.contract.test_mbus_line import peer
from tests.unit.test_mbus_simulator import NOW_MS, ThreeTelegrams


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


class Recorded(BusTransport):
    """Remembers what came over the wire."""

    said = b""

    async def read(self, timeout_s: float) -> bytes:
        heard = await super().read(timeout_s)
        self.said += heard
        return heard


def keeping(line: Line, address: int, clock: ManualClock, key: bytes | None = None) -> MbusMeter:
    profile = load_profile("mbus_electricity")
    return MbusMeter(
        "it", line, address, profile, clock=clock, retries=0, aes_key=key, keep_telegrams=True
    )


async def test_all_telegrams_of_a_read_are_kept_as_they_came_and_given_once(
    clock: ManualClock,
) -> None:
    slave = Slave(3, Identity("00000008", "INM", 1, 2), ThreeTelegrams())
    transport = Recorded(Bus([slave]))
    many = keeping(line_through(transport), 3, clock)
    sample = await many.read()
    taken = many.take_telegrams()
    assert transport.said == b"\xe5" + b"".join(one.frame for one in taken)
    assert [(one.at, one.device) for one in taken] == [(sample.at_ms, "it")] * 3
    assert many.take_telegrams() == []
    other = meter(line_through(transport), 3, clock)
    await other.read()
    assert other.take_telegrams() == []


@pytest.mark.parametrize("key", [None, bytes(range(16)), bytes(16)])
async def test_an_encrypted_telegram_is_kept_encrypted_whoever_has_its_key(
    clock: ManualClock, key: bytes | None
) -> None:
    pytest.importorskip("Crypto")
    records = [encode.integer(b"\x2b", 7, 4)]
    secret = sealed_response(1, IDENTITY, records, bytes(range(16))).to_bytes()
    async with peer(Scripted(secret).serve) as url:
        line = Line(url)
        one = keeping(line, 1, clock, key)
        with contextlib.suppress(Undecodable):
            await one.read()
        assert [kept.frame for kept in one.take_telegrams()] == [secret]
        await line.close()


async def test_telegrams_of_a_poll_that_failed_are_not_those_of_the_next_one(
    clock: ManualClock,
) -> None:
    slave = Slave(3, Identity("00000008", "INM", 1, 2), ThreeTelegrams())
    many = keeping(line_through(BusTransport(Bus([slave]))), 3, clock)
    for _ in range(2):
        await many.read()
    assert len(many.take_telegrams()) == 3
