"""Whose turn it is on a line."""

import asyncio

import pytest

from edge_agent.drivers.turns import Turns


async def begin(turns: Turns, log: list[str], name: str, *, order: bool = False) -> None:
    async with turns.turn(order=order):
        log.append(name)


async def settle(*tasks: asyncio.Task[None]) -> None:
    """Let the tasks come as far as they can."""
    await asyncio.wait(tasks, timeout=0)


async def test_orders_go_before_polls_and_each_kind_in_the_order_it_came() -> None:
    turns, log = Turns(), list[str]()
    async with turns.turn():
        waiting = [
            asyncio.ensure_future(begin(turns, log, name, order=name.startswith("order")))
            for name in ("poll 1", "order 1", "poll 2", "order 2")
        ]
        await settle(*waiting)
        assert turns.waiting == 4
        assert log == []
    await asyncio.gather(*waiting)
    assert log == ["order 1", "order 2", "poll 1", "poll 2"]
    assert turns.waiting == 0


async def test_who_gives_up_waiting_does_not_keep_the_line_from_the_others() -> None:
    turns, log = Turns(), list[str]()
    async with turns.turn():
        gone = asyncio.ensure_future(begin(turns, log, "gone"))
        stays = asyncio.ensure_future(begin(turns, log, "stays"))
        await settle(gone, stays)
        gone.cancel()
        await asyncio.wait([gone])
    await stays
    assert log == ["stays"]


async def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    turns, log = Turns(), list[str]()
    async with turns.turn():
        gone = asyncio.ensure_future(begin(turns, log, "gone"))
        stays = asyncio.ensure_future(begin(turns, log, "stays"))
        await settle(gone, stays)
    gone.cancel()  # it has been given the line, and has not run since
    await asyncio.wait([gone])
    await stays
    assert log == ["stays"]
    async with turns.turn():
        log.append("free")
    assert log == ["stays", "free"]


async def test_nobody_gets_in_between_the_end_of_a_turn_and_the_next() -> None:
    turns, log = Turns(), list[str]()
    async with turns.turn():
        waiting = asyncio.ensure_future(begin(turns, log, "was first"))
        await settle(waiting)
    async with turns.turn():
        log.append("came later")
    await waiting
    assert log == ["was first", "came later"]


async def test_an_error_ends_the_turn() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="why"):
        async with turns.turn():
            raise ValueError("why")
    async with asyncio.timeout(1), turns.turn():
        assert turns.waiting == 0


async def test_one_who_gives_up_just_before_its_turn_is_only_cancelled() -> None:
    turns, log = Turns(), list[str]()
    async with turns.turn():
        gone = asyncio.ensure_future(begin(turns, log, "gone"))
        await settle(gone)
        gone.cancel()  # it does not run before the line is passed on
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with turns.turn():
        assert (turns.waiting, log) == (0, [])
