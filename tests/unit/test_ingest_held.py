"""What waits to be stored: what is said now does not wait behind what was kept."""

import asyncio

from cloud.services.parcels import Received
from cloud.workers.held import (
    GROUP_BYTES,
    GROUP_MESSAGES,
    GROUP_SMALL,
    MESSAGES,
    SMALL_BYTES,
    Held,
)


def message(size: int, number: int = 0) -> Received:
    return Received("inmetter/v1/gw/up/journal", b"x" * size, number)


async def filled(*messages: Received) -> Held:
    held = Held()
    for one in messages:
        await held.put(one)
    return held


async def test_a_small_message_overtakes_the_large_ones_that_do_not_fit_a_group() -> None:
    large = [message(GROUP_BYTES // 2, number) for number in range(6)]
    small = message(SMALL_BYTES - 1, 6)
    held = await filled(*large, small)
    assert await held.take() == [small, *large[:2]]


async def test_each_lane_keeps_its_order_and_nothing_is_left_behind() -> None:
    said = [message(size, number) for number, size in enumerate([10, 40_000, 20, 40_000, 30] * 5)]
    held = await filled(*said)
    taken: list[Received] = []
    while len(held):
        taken += await held.take()
    for lane in ({10, 20, 30}, {40_000}):
        assert [one for one in taken if len(one.payload) in lane] == [
            one for one in said if len(one.payload) in lane
        ]


async def test_a_message_larger_than_a_group_is_taken_all_the_same() -> None:
    huge = message(GROUP_BYTES * 3)
    held = await filled(huge)
    assert await held.take() == [huge]


async def test_many_small_messages_do_not_starve_the_large() -> None:
    held = await filled(*[message(10)] * (GROUP_MESSAGES * 2), message(SMALL_BYTES))
    group = await held.take()
    assert (len(group), len(group[-1].payload)) == (GROUP_SMALL + 1, SMALL_BYTES)


async def test_more_than_there_is_room_for_is_not_taken() -> None:
    held = await filled(*[message(10)] * MESSAGES)
    one_more = asyncio.ensure_future(held.put(message(10)))
    await asyncio.sleep(0)
    assert not one_more.done()
    await held.take()
    await one_more
    assert len(held) == MESSAGES - GROUP_SMALL + 1
