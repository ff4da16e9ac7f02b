"""Keeps the parts running: one that dies is started again, and harms no other."""

import asyncio
from collections.abc import Awaitable, Callable

from common.clock import Clock
from common.logs import events

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
HEALTHY_S = 60.0
"""A part that ran for so long starts with the first pause again."""


class Supervisor:
    """Runs named parts, each an ``async def run()`` that ends only by being cancelled.

    An error of one of the classes in ``fatal`` is not survived: ``run`` raises it.
    """

    def __init__(self, clock: Clock, fatal: tuple[type[Exception], ...] = ()) -> None:
        self._clock = clock
        self._fatal = fatal
        self._parts: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self.restarts = 0

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """One more part; before ``run``."""
        self._parts.append((name, run))

    async def run(self) -> None:
        """All parts, until cancelled or a fatal error."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, run in self._parts:
                    group.create_task(self._keep(name, run), name=name)
        except BaseExceptionGroup as errors:
            raise innermost(errors) from errors

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                await run()
                reason = "it ended"
            except Exception as error:  # The one place that survives anything.
                cause = innermost(error)
                if isinstance(cause, self._fatal):
                    raise cause from error
                reason = f"{type(cause).__name__}: {cause}"
                events.debug("part %s:", name, exc_info=error)
            if self._clock.monotonic() - began >= HEALTHY_S:
                pause_s = FIRST_PAUSE_S
            self.restarts += 1
            events.error("part %s died, restarts in %g s: %s", name, pause_s, reason)
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def innermost(error: BaseException) -> BaseException:
    """The first error inside nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
