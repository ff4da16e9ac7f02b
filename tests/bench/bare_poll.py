"""The bare peer of the edge agent's polling: the same requests at the same times, and nothing else.

``python -m tests.bench.bare_poll PLAN`` runs until SIGTERM, and then prints, as a JSON list, by how
many milliseconds each answer came later than its request was due. PLAN: tests.bench.polling.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

import msgspec


class Ask(msgspec.Struct):
    """A device: ``offset_s`` after each multiple of its interval these requests are sent (hex)."""

    offset_s: float
    requests: list[str]


class Plan(msgspec.Struct):
    """A line: M-Bus, or Modbus TCP."""

    mbus: bool
    port: int
    interval_s: float
    asks: list[Ask]


async def ask_line(plan: Plan, late_ms: list[float]) -> None:
    """One device after the other, over one connection."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", plan.port)
    round_at = time.time() // plan.interval_s * plan.interval_s
    while True:
        round_at += plan.interval_s
        for ask in plan.asks:
            due = round_at + ask.offset_s
            wake: asyncio.Future[None] = loop.create_future()
            loop.call_later(max(0.0, due - time.time()), wake.set_result, None)
            await wake
            for number, request in enumerate(ask.requests):
                writer.write(bytes.fromhex(request))
                if plan.mbus:
                    await reader.readexactly((await reader.readexactly(4))[1] + 2)
                else:
                    await reader.readexactly((await reader.readexactly(6))[5])
                if number == 0:
                    late_ms.append(round((time.time() - due) * 1000, 3))


async def ask_all(plans: list[Plan]) -> None:
    """All lines at once, until SIGTERM."""
    late_ms: list[float] = []
    lines = asyncio.gather(*(ask_line(plan, late_ms) for plan in plans))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lines.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await lines
    sys.stdout.write(json.dumps(late_ms) + "\n")


if __name__ == "__main__":
    asyncio.run(ask_all(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=list[Plan])))
