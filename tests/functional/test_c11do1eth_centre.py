"""Devices without a gateway: the edge agent in the data centre, with nothing but the server."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from common.clock import SystemClock
from common.ids import new_command_id
from common.messages.downlink import Command
from common.messages.uplink import Catalog, CommandReport, Readings
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from tests.contract.c11do1eth_site import SECRET, running
from tests.functional.c11do1eth_certificates import Certificates, make_certificates
from tests.functional.tiny_cloud import TinyCloud, tiny_cloud
from tests.harness.mosquitto import Mosquitto
from tests.harness.ports import free_port
from tests.harness.processes import Programs

MODULES = 200
BACKLOG = 5
GATEWAY = "centre"

CENTRE = """\
[gateway]
id = "centre"
name = "Data centre"
site = "devices-without-gateway"
site_name = "Devices without a gateway"
timezone = "Europe/Bucharest"

[mqtt]
port = {broker}

[c11do1eth]
host = "0.0.0.0"
port = {port}
tls_cert_file = "tls/server.pem"
tls_key_file = "tls/server.key"
"""

MODULE = """
[[device]]
driver = "c11do1eth"
key = "{key}"
name = "Cold water {key}"
medium = "cold_water"
key_file = "module.key"
pulse_weight = "10 l"
output = {{ key = "valve", name = "Valve" }}
"""


@dataclass
class Centre:
    """The agent as a program of its own, and the modules that call it, in this process."""

    cores: dict[str, C11Core]
    cloud: TinyCloud

    def totals(self) -> dict[str, set[int]]:
        """The raw pulse totals of each device that the cloud has."""
        bodies = self.cloud.bodies().values()
        catalogs = [body for body in bodies if isinstance(body, Catalog)]
        numbers = {
            one.no: device.key
            for device in catalogs[-1].devices
            for one in device.registers
            if one.register.key == "volume"
        }
        found: dict[str, set[int]] = {key: set() for key in self.cores}
        for body in bodies:
            for value in body.r if isinstance(body, Readings) else ():
                if value.no in numbers and value.raw is not None:
                    found[numbers[value.no]].add(value.raw)
        return found

    def reports(self) -> list[CommandReport]:
        return [one for one in self.cloud.bodies().values() if isinstance(one, CommandReport)]


@asynccontextmanager
async def centre(directory: Path, certificates: Certificates, broker: int) -> AsyncIterator[Centre]:
    keys = [f"meter-{number}" for number in range(MODULES)]
    port, path = free_port(), directory / "edge.toml"
    (directory / "module.key").write_bytes(SECRET)
    every = "".join(MODULE.format(key=key) for key in keys)
    path.write_text(CENTRE.format(broker=broker, port=port) + every)
    now_ms = SystemClock().now_ms()
    cores = {key: _core(key, now_ms, 1000 * number) for number, key in enumerate(keys)}
    with Programs(directory) as programs:
        agent = programs.add("agent", sys.executable, "-m", "edge_agent", "run", str(path)).start()
        await asyncio.to_thread(agent.wait_for, "communication server listens")
        async with tiny_cloud(broker, GATEWAY) as cloud, AsyncExitStack() as stack:
            for core in cores.values():
                client = C11Simulator(
                    *(core, "127.0.0.1", port, SystemClock()),
                    tls_ca_file=certificates.ca,
                    tick_s=0.5,
                )
                await stack.enter_async_context(running(client.run()))
            yield Centre(cores, cloud)


def _core(key: str, now_ms: int, pulses: int) -> C11Core:
    """A module that has counted for some hours without anybody to tell."""
    begun_ms = now_ms - (BACKLOG + 1) * 900_000
    core = C11Core(
        key, SECRET, lambda at_ms: pulses + (at_ms - begun_ms) // 900_000, backlog_delay_s=0
    )
    core.power_up(begun_ms)
    for number in range(1, BACKLOG + 1):
        core.record(begun_ms + number * 900_000)
    return core


async def test_modules_without_a_gateway_are_read_and_obey(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    certificates = make_certificates(tmp_path / "tls")
    async with centre(tmp_path, certificates, mosquitto.port) as place:
        cloud = place.cloud
        await cloud.until(lambda: bool(cloud.hellos and cloud.stored[cloud.stream]))
        await cloud.until(lambda: all(len(some) > BACKLOG for some in place.totals().values()))
        for number, totals in enumerate(place.totals().values()):
            assert totals == {1000 * number + count for count in range(1, BACKLOG + 2)}
        assert all(core.online for core in place.cores.values())
        for key in ("meter-7", "meter-150"):
            now = SystemClock().now_ms()
            order = Command(new_command_id(), key, "valve", 1, now, now + 10_000)
            await cloud.tell(order)
            await cloud.until(
                lambda wanted=order.id: any(  # type: ignore[misc]
                    one.id == wanted and one.state == "succeeded" for one in place.reports()
                )
            )
            assert place.cores[key].output == 1
        assert sum(core.output for core in place.cores.values()) == 2
