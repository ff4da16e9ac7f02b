"""The window of batches in flight: wide where the way is fast, narrow where it is slow."""

import asyncio

from edge_agent.window import AIM_S, BEGIN, SMALLEST, Window


def rounds(window: Window, count: int, after_s: float) -> None:
    for _ in range(count):
        for _ in range(window.size):
            window.answered(after_s)


def test_fast_answers_widen_it_to_the_largest_and_no_further() -> None:
    window = Window(16)
    assert window.size == BEGIN
    rounds(window, 40, AIM_S / 2)
    assert window.size == 16


def test_slow_answers_narrow_it_to_the_smallest() -> None:
    window = Window(16)
    rounds(window, 40, AIM_S / 2)
    rounds(window, 40, AIM_S * 2)
    assert window.size == SMALLEST


def test_a_batch_that_goes_again_halves_it() -> None:
    window = Window(16)
    rounds(window, 40, AIM_S / 2)
    window.repeated()
    assert window.size == 8


def test_one_place_stays_one_place() -> None:
    window = Window(1)
    rounds(window, 5, AIM_S / 2)
    window.repeated()
    assert window.size == 1


async def test_who_waits_gets_the_place_that_is_freed_and_no_more_are_out_than_there_are() -> None:
    window = Window(2)
    await window.take()
    await window.take()
    waiting = [asyncio.ensure_future(window.take()) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0)
    assert not done
    window.free()
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    window.free()
    await asyncio.gather(*waiting)


async def test_a_place_more_is_given_when_it_widens() -> None:
    window = Window(16)
    for _ in range(BEGIN):
        await window.take()
    waiting = asyncio.ensure_future(window.take())
    rounds(window, 2, AIM_S / 2)
    await waiting
