"""What waits to be stored: what is said now does not wait behind what was kept."""

import asyncio

import pytest

from cloud.services.parcels import BadParcel, Parcel, Received
from cloud.workers.held import LARGE, MESSAGES, SMALL, SMALL_BYTES, Held
from tests.unit.edge_parts import turns


def message(size: int, number: int = 0) -> Received:
    return Received("inmetter/v1/gw/up/journal", b"x" * size, number)


async def filled(*messages: Received) -> Held:
    held = Held()
    for one in messages:
        await held.put(one)
    return held


async def take_apart(held: Held) -> None:
    lane, group = await held.take_whole()
    await held.put_apart(lane, [BadParcel(one, "") for one in group])


def sources(parcels: list[Parcel]) -> list[Received]:
    return [parcel.source for parcel in parcels]


async def test_a_small_message_does_not_wait_behind_large_ones() -> None:
    large = [message(LARGE.size // 2, number) for number in range(6)]
    small = message(SMALL_BYTES - 1, 6)
    held = await filled(*large, small)
    await take_apart(held)
    await take_apart(held)
    assert sources(await held.take()) == [small]
    assert sources(await held.take()) == large[:2]


async def test_small_messages_that_keep_coming_do_not_stop_the_large() -> None:
    held = await filled(message(SMALL_BYTES, 1), message(10, 2))
    await take_apart(held)
    await take_apart(held)
    assert sources(await held.take()) == [message(10, 2)]
    await held.put(message(10, 3))
    await take_apart(held)
    assert sources(await held.take()) == [message(SMALL_BYTES, 1)]
    assert sources(await held.take()) == [message(10, 3)]


async def test_what_comes_while_the_database_is_busy_is_stored_together() -> None:
    held = await filled(message(2000, 1))
    await take_apart(held)
    await held.put(message(2000, 2))
    await take_apart(held)
    assert sources(await held.take()) == [message(2000, 1), message(2000, 2)]


async def test_each_lane_keeps_its_order_and_nothing_is_left_behind() -> None:
    said = [message(size, number) for number, size in enumerate([10, 40_000, 20, 40_000, 30] * 5)]
    held = await filled(*said)
    taken: list[Received] = []
    while len(held):
        await take_apart(held)
        taken += sources(await held.take())
    for lane in ({10, 20, 30}, {40_000}):
        assert [one for one in taken if len(one.payload) in lane] == [
            one for one in said if len(one.payload) in lane
        ]


async def test_a_message_larger_than_a_group_is_taken_all_the_same() -> None:
    huge = message(LARGE.size * 3)
    held = await filled(huge)
    await take_apart(held)
    assert sources(await held.take()) == [huge]


@pytest.mark.parametrize(("size", "most"), [(10, SMALL.messages), (40_000, 2)])
async def test_no_more_is_taken_apart_than_the_next_transaction_takes(size: int, most: int) -> None:
    held = await filled(*[message(size)] * (SMALL.messages + 1))
    await take_apart(held)
    more = asyncio.ensure_future(held.take_whole())
    await turns(5)
    assert not more.done()
    assert len(await held.take()) == most
    await more


async def test_more_than_there_is_room_for_is_not_taken() -> None:
    held = await filled(*[message(10)] * MESSAGES)
    one_more = asyncio.ensure_future(held.put(message(10)))
    await turns(5)
    assert not one_more.done()
    await take_apart(held)
    await held.take()
    await one_more
    assert len(held) == MESSAGES - SMALL.messages + 1
