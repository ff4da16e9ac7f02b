"""A master's services to a meter, on a bus without a wire."""

import pytest

from common.errors import ConfigError, FrameError, NoAnswer, Refused
from edge_agent.drivers.mbus_service import Service
from edge_agent.protocols.mbus import link
from edge_agent.protocols.mbus.selection import Secondary, parse_secondary
from edge_agent.simulators.mbus import Bus
from edge_agent.simulators.mbus_slave import Slave
from tests.contract.mbus_site import BusTransport, Noisy, electricity, line_through, line_to
from tests.unit.test_mbus_simulator import NOW_MS


def service(bus: Bus | Noisy, address: int | Secondary = 1) -> Service:
    return Service(line_to(bus)[0], address, 0.4)


async def test_a_baud_rate_is_verified_at_the_new_rate() -> None:
    slave = electricity(1, "10203040")
    after, _ = line_to(Bus([slave], baud=9600))
    await service(Bus([slave])).set_baud(9600, after)
    assert slave.baud == 9600


async def test_a_meter_that_is_not_heard_at_the_new_rate_is_told() -> None:
    slave = electricity(1, "10203040")
    after, _ = line_to(Bus([slave], baud=4800))
    with pytest.raises(Refused, match="does not answer at 1 now, though it acknowledged"):
        await service(Bus([slave])).set_baud(9600, after)


async def test_a_lost_acknowledgement_does_not_make_a_change_undone() -> None:
    """Questions: NKE and data of the meter, both at the new address, NKE again, the change."""
    slave = electricity(1, "10203040")
    await service(Noisy(Bus([slave]), [6])).set_address(9)
    assert slave.address == 9


class Stubborn(Slave):
    """Acknowledges a new address and keeps the old one."""

    def _write(self, record: bytes) -> None: ...


async def test_a_meter_that_only_acknowledges_is_found_out() -> None:
    plain = electricity(1, "10203040")
    slave = Stubborn(1, plain.identity, plain._source)
    with pytest.raises(Refused, match="does not answer at 9 now, though it acknowledged"):
        await service(Bus([slave])).set_address(9)


async def test_the_meter_that_was_told_is_the_one_that_is_found() -> None:
    slaves = [electricity(1, "10203040"), electricity(2, "50000000")]
    await service(Bus(slaves), parse_secondary("50000000")).set_address(7)
    assert [slave.address for slave in slaves] == [1, 7]
    who = await service(Bus(slaves), 7).identify()
    assert (who.identification, who.address) == ("50000000", 7)


@pytest.mark.parametrize("address", [251, 253, 255, -1])
async def test_addresses_of_no_single_meter_are_refused(address: int) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 250, or 254"):
        service(Bus([]), address)


class Forgetful(Bus):
    """The first reset of address 9 is lost on the wire."""

    lost = False

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        if isinstance(frame, link.ShortFrame) and frame.address == 9 and not self.lost:
            self.lost = True
            return b""
        return super().answer(frame, at_ms)


async def test_a_lost_question_does_not_make_an_address_free() -> None:
    slaves = [electricity(1, "10203040"), electricity(9, "50000000")]
    with pytest.raises(Refused, match="address 9 is taken"):
        await service(Forgetful(slaves)).set_address(9)
    assert [slave.address for slave in slaves] == [1, 9]


class Slower(BusTransport):
    """A second meter at the same address, whose answers come behind those of the first."""

    def __init__(self, bus: Bus, second: Slave) -> None:
        super().__init__(bus)
        self._second = second
        self._later = b""

    def write(self, data: bytes) -> None:
        super().write(data)
        self._later = self._second.answer(self.asked[-1], NOW_MS)

    async def read(self, timeout_s: float) -> bytes:
        if not self._heard and timeout_s >= 0.4:
            self._heard, self._later = self._later, b""
        return await super().read(timeout_s)


@pytest.mark.parametrize("where", [1, 254, parse_secondary("10203040")])
async def test_a_slow_meter_at_the_same_address_is_not_changed_too(where: int | Secondary) -> None:
    first, second = electricity(1, "10203040"), electricity(1, "10203040", "ABC")
    asked = Service(line_through(Slower(Bus([first]), second)), where, 0.4)
    with pytest.raises((FrameError, NoAnswer)):
        await asked.set_address(9)
    assert (first.address, second.address) == (1, 1)


async def test_only_the_meter_that_was_meant_is_changed() -> None:
    slave = electricity(1, "10203040")
    meant = await service(Bus([slave])).identify()
    other = electricity(1, "50000000")
    line, _ = line_to(Bus([other]))
    changes = Service(line, 1, 0.4, meant)
    for change in (
        changes.set_address(9),
        changes.reset_application(),
        changes.set_baud(300, None),
    ):
        with pytest.raises(Refused, match="nothing was changed"):
            await change
    assert (other.address, other.baud) == (1, 2400)
