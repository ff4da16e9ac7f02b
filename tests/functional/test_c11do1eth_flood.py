"""While somebody floods the server, the records of the others are acknowledged as before."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from common.clock import SystemClock
from edge_agent.drivers.c11do1eth import CommunicationServer, Limits, ServerCertificate
from edge_agent.protocols.c11do1eth import Ack, Ping
from tests.contract.c11do1eth_site import HandDevice, MemorySink, device, module, rec, running
from tests.functional.c11do1eth_certificates import make_certificates
from tests.functional.c11do1eth_flooder import KINDS
from tests.functional.test_c11do1eth_tls import device as tls_device
from tests.harness.processes import Programs

MODULES = ("m1", "m2", "calm")
RECORDS = 100
PATIENCE_S = 30
"""A module hangs up when it has waited so long for an acknowledgement."""


def serving(certificate: ServerCertificate | None = None, burst: int = 4096) -> CommunicationServer:
    return CommunicationServer(
        *("127.0.0.1", 0, {key: module(key) for key in MODULES}, MemorySink(), SystemClock()),
        limits=Limits(connections=100, burst=burst),
        certificate=certificate,
    )


async def is_acknowledged(hand: HandDevice) -> None:
    """Each of some records, before the module would hang up."""
    for seq in range(1, RECORDS + 1):
        hand.send(rec(seq, name=hand.name))
        async with asyncio.timeout(PATIENCE_S):
            assert await hand.ack() == Ack(hand.name, seq, 1)


USUAL = ("known names", "half a TLS handshake")


@pytest.mark.parametrize(
    "kind", [one if one in USUAL else pytest.param(one, marks=pytest.mark.long) for one in KINDS]
)
async def test_a_flood_from_strangers_does_not_slow_the_others(kind: str, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "tls") if "TLS" in kind else None
    server = serving(
        ServerCertificate(certificates.server, certificates.key) if certificates else None
    )
    with Programs(tmp_path) as programs:
        async with running(server.run()):
            port = await server.listening()

            def connect(name: str) -> AbstractAsyncContextManager[HandDevice]:
                return tls_device(port, certificates, name) if certificates else device(port, name)

            async with connect("calm") as calm:
                await calm.open()
                flooder = (sys.executable, "-m", "tests.functional.c11do1eth_flooder", str(port))
                programs.add("flooder", *flooder, kind).start()
                while server.counters.accepted < 500:
                    calm.send(Ping("calm", 0))
                    await calm.next()
                await is_acknowledged(calm)
                # Somebody who comes only now gets in as well.
                async with connect("m2") as late:
                    await late.open()
                    await is_acknowledged(late)
            assert programs["flooder"].running
        assert server.connections == 0


async def test_a_device_that_floods_is_refused_and_the_others_are_not_slowed() -> None:
    server = serving(burst=20_000)
    async with running(server.run()):
        port = await server.listening()
        async with device(port) as flood, device(port, "calm") as calm:
            await flood.open()
            await calm.open()
            flood.send(*(rec(seq) for seq in range(1, 20_001)), *[Ping("m1", 0)] * 1000)
            await is_acknowledged(calm)
            async with asyncio.timeout(60):
                while not server.counters.refused_rate:
                    calm.send(Ping("calm", 0))
                    await calm.next()
    assert server.counters.refused_rate == 1
