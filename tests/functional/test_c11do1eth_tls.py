"""The communication server behind TLS: who gets in, who does not, and what it costs the others."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from common.clock import Clock, ManualClock, SystemClock
from common.errors import ConfigError
from edge_agent.config import load
from edge_agent.drivers.c11do1eth import CommunicationServer, Limits, ServerCertificate
from edge_agent.protocols.c11do1eth import Ack
from edge_agent.simulators.c11do1eth import C11Core, C11Simulator
from tests.contract.c11do1eth_site import (
    NOW_MS,
    SECRET,
    HandDevice,
    MemorySink,
    module,
    rec,
    running,
)
from tests.functional.c11do1eth_certificates import Certificates, make_certificates

CONFIG = """\
[gateway]
id = "g1"
name = "G1"
site = "s1"
site_name = "S1"
timezone = "Europe/Bucharest"

[c11do1eth]
tls_cert_file = "ours/server.pem"
tls_key_file = "{key}"
"""


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path / "ours")


@asynccontextmanager
async def serving(
    certificates: Certificates | None,
    sink: MemorySink,
    clock: Clock | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[tuple[CommunicationServer, int]]:
    modules = {"m1": module(), "m2": module("m2")}
    server = CommunicationServer(
        *("127.0.0.1", 0, modules, sink, clock or SystemClock()),
        limits=limits,
        certificate=ServerCertificate(certificates.server, certificates.key)
        if certificates
        else None,
    )
    async with running(server.run()):
        yield server, await server.listening()


@asynccontextmanager
async def device(
    port: int, trusted: Certificates | ssl.SSLContext, name: str = "m1"
) -> AsyncIterator[HandDevice]:
    """A device that speaks TLS; raises ssl.SSLError when the handshake fails."""
    if isinstance(trusted, Certificates):
        trusted = ssl.create_default_context(cafile=trusted.ca)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
    try:
        yield HandDevice(reader, writer, name)
    finally:
        writer.transport.abort()


def serial(hand: HandDevice) -> int:
    """The serial number of the certificate that the server showed."""
    shown = hand.writer.get_extra_info("ssl_object").getpeercert()
    return int(shown["serialNumber"], 16)


@asynccontextmanager
async def silent(port: int) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that begins a handshake and never goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01\x02\x00")
    try:
        yield reader
    finally:
        writer.transport.abort()


async def test_a_module_that_trusts_the_authority_is_served(certificates: Certificates) -> None:
    sink = MemorySink()
    async with (
        serving(certificates, sink) as (server, port),
        device(port, certificates) as hand,
    ):
        await hand.open()
        hand.send(*(rec(seq) for seq in range(1, 401)))
        while (await hand.ack()).seq < 400:
            pass
        assert hand.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert server.counters.items == 400


async def test_a_module_that_trusts_another_authority_hangs_up(
    certificates: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    others = make_certificates(tmp_path / "others")
    async with (
        serving(certificates, MemorySink()) as (server, port),
        device(port, certificates, "m2") as good,
    ):
        await good.open()
        with pytest.raises(ssl.SSLCertVerificationError):
            async with device(port, others):
                pass
        good.send(rec(1, name="m2"))
        assert await good.ack() == Ack("m2", 1, 1)
        assert server.counters.sessions == 1
        assert server.counters.refused_tls == 1
        assert "does it trust us?" in caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "good"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
async def test_nothing_older_than_tls_1_2_is_spoken(
    certificates: Certificates, version: str, good: bool
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    async with serving(certificates, MemorySink()) as (server, port):
        if good:
            async with device(port, context) as hand:
                await hand.open()
        else:
            with pytest.raises(ssl.SSLError):
                async with device(port, context):
                    pass
        assert server.counters.refused_tls == (not good)


async def test_a_foreign_client_is_answered(certificates: Certificates) -> None:
    async with serving(certificates, MemorySink()) as (_, port):
        client = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile"),
            *(str(certificates.ca), "-connect", f"127.0.0.1:{port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"$IM1,m1,HELLO,0,1,C11DO1ETH,1.0,7,3412,3380,3*AC71\r\n")
        async with asyncio.timeout(20):
            answer = await client.stdout.readline()
        client.kill()
        await client.communicate()
        assert answer.startswith(b"$IM1,m1,CHAL,0,")


async def test_handshakes_that_never_end_are_counted_crowded_out_and_timed(
    certificates: Certificates,
) -> None:
    clock = ManualClock(NOW_MS)
    limits = Limits(connections=20, handshake_s=10)
    async with (
        serving(certificates, MemorySink(), clock, limits) as (server, port),
        device(port, certificates, "m2") as good,
        AsyncExitStack() as stack,
    ):
        await good.open()
        half_open = [await stack.enter_async_context(silent(port)) for _ in range(8)]
        async with device(port, certificates) as hand:
            await hand.open()
            assert server.counters.crowded_out == 4
            assert server.connections == 6
        clock.advance(11)
        async with asyncio.timeout(20):
            assert [await reader.read() for reader in half_open[4:]] == [b""] * 4
        assert server.counters.handshake_timeouts == 4
        good.send(rec(1, name="m2"))
        assert await good.ack() == Ack("m2", 1, 1)


async def test_plain_text_and_noise_on_a_tls_port_are_told_apart(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(certificates, MemorySink()) as (server, port):
        for said in (b"$IM1,m1,HELLO,0", b"GET / HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(20):
                await reader.read()
            writer.transport.abort()
        assert server.counters.refused_tls == 2
        assert "it speaks plain text to a port with TLS" in caplog.text
        assert "TLS failed: " in caplog.text


async def test_tls_on_a_plain_port_is_told_and_ended_at_once(
    caplog: pytest.LogCaptureFixture, certificates: Certificates
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(None, MemorySink()) as (server, port):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with device(port, certificates):
                pass
        assert server.counters.refused_tls == 1
        assert "it speaks TLS to a port without" in caplog.text


async def test_a_new_certificate_is_shown_without_a_restart(certificates: Certificates) -> None:
    async with (
        serving(certificates, MemorySink()) as (_, port),
        device(port, certificates) as old,
    ):
        await old.open()
        certificates.issue(serial=2)
        async with device(port, certificates, "m2") as new:
            await new.open()
            assert (serial(old), serial(new)) == (1, 2)
        old.send(rec(1))
        assert await old.ack() == Ack("m1", 1, 1)


async def test_a_certificate_that_cannot_be_used_leaves_the_old_one_in_use(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(certificates, MemorySink()) as (_, port):
        certificates.server.write_text("half a certif")
        for _ in range(2):
            async with device(port, certificates) as hand:
                await hand.open()
                assert serial(hand) == 1
        assert caplog.text.count("the new certificate cannot be used") == 1
        certificates.issue(serial=3)
        async with device(port, certificates) as hand:
            assert serial(hand) == 3


def test_a_certificate_that_cannot_be_used_at_the_start_is_a_configuration_error(
    certificates: Certificates, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        ServerCertificate(certificates.server, certificates.ca)
    with pytest.raises(ConfigError, match="cannot be used"):
        ServerCertificate(tmp_path / "none.pem", certificates.key)
    path = tmp_path / "edge.toml"
    path.write_text(CONFIG.format(key="ours/server.key"))
    assert load(path).settings.c11do1eth.tls_cert_file
    path.write_text(CONFIG.format(key="ours/ca.key"))
    with pytest.raises(ConfigError, match=r"c11do1eth\.tls_cert_file: .*cannot be used"):
        load(path)


async def test_the_simulated_module_delivers_its_backlog_through_tls(
    certificates: Certificates,
) -> None:
    now_ms = SystemClock().now_ms()
    core = C11Core("m1", SECRET, lambda at_ms: at_ms // 60_000, backlog_delay_s=0)
    core.power_up(now_ms - 300 * 60_000)
    for number in range(300, 0, -1):
        core.record(now_ms - number * 60_000)
    sink = MemorySink()
    async with serving(certificates, sink) as (server, port):
        client = C11Simulator(
            *(core, "127.0.0.1", port, SystemClock()),
            tls_ca_file=certificates.ca,
            back_off_s=(0.001, 0.01),
            tick_s=0.01,
        )
        async with running(client.run()):
            await sink.until(lambda: len(sink.stored) > 300)
        assert server.counters.sessions == client.sessions == 1


async def test_what_came_before_a_farewell_is_stored(certificates: Certificates) -> None:
    sink = MemorySink()
    sink.gate.clear()
    async with serving(certificates, sink) as (_, port), device(port, certificates) as hand:
        await hand.open()
        hand.send(*(rec(seq) for seq in range(1, 100)))
        await hand.writer.drain()
        await sink.entered.wait()
        hand.writer.close()
        sink.gate.set()
        await sink.until(lambda: len(sink.stored) == 99)
