"""Listening on a shared line to whatever comes: garbage, echoes, silence, noise without an end."""

import asyncio
import contextlib

import pytest

from edge_agent.drivers import line as line_module
from tests.contract.test_mbus_line import LONG_S, SHORT_S, line_to, peer


@pytest.mark.parametrize("echo", [False, True])
async def test_listening_gives_whatever_comes_and_silence_keeps_the_connection(echo: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\n"):
            if echo:
                writer.write(request)
            if request != b"silent\n":
                for part in (b"\x00gar", b"bage"):
                    writer.write(part)
                    await writer.drain()

    async with peer(serve) as url:
        line = line_to(url)
        async with line.turn() as turn:
            for _ in range(3):
                assert await turn.listen(b"silent\n", SHORT_S, SHORT_S) == b""
            assert await turn.listen(b"loud\n", LONG_S, SHORT_S) == b"\x00garbage"
            assert await turn.listen(b"silent\n", SHORT_S, SHORT_S) == b""
        assert line.connection == 1
        await line.close()


async def test_listening_ends_though_noise_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "MAX_LISTEN_S", 0.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        while not reader.at_eof():
            writer.write(b"x")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await reader.read(1)

    async with peer(serve) as url:
        line = line_to(url)
        async with line.turn() as turn:
            heard = await turn.listen(b"a", SHORT_S, LONG_S)
        assert 0 < len(heard) < 100
        await line.close()
