"""A master's services to a meter, on a bus without a wire."""

import pytest

from common.errors import ConfigError, Refused
from edge_agent.drivers.mbus_service import Service
from edge_agent.protocols.mbus.selection import Secondary, parse_secondary
from edge_agent.simulators.mbus import Bus
from edge_agent.simulators.mbus_slave import Slave
from tests.contract.mbus_site import Noisy, electricity, line_to


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
    """Questions: NKE and data of the meter, NKE of the new address, NKE again, the change."""
    slave = electricity(1, "10203040")
    await service(Noisy(Bus([slave]), [5])).set_address(9)
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
