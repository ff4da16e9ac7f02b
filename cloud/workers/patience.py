"""Waiting, for as long as it takes, for what will be there again."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from common.clock import Clock
from common.errors import Retryable
from common.logs import events

T = TypeVar("T")

LONGEST_WAIT_S = 5.0


async def patiently(work: Callable[[], T], clock: Clock, waits: str, goes_on: str) -> T:
    """What ``work`` gives, done in another thread, again after every Retryable.

    ``waits`` begins the line that tells each reason once in the log, ``goes_on`` is the line for
    when it is over.
    """
    said = ""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Retryable),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_WAIT_S),
        sleep=clock.sleep,
    ):
        with attempt:
            try:
                result = await asyncio.to_thread(work)
            except Retryable as error:
                if str(error) != said:
                    said = str(error)
                    events.warning("%s: %s", waits, said)
                raise
            if said:
                events.info("%s", goes_on)
            return result
    raise AssertionError("the retrying never ends without a result")
