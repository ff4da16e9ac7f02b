"""Batches as columns: what is packed comes out, and nothing that is not whole is taken."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from common.messages.batch import ClockSpan, Entry, Lost, pack, unpack
from common.messages.envelope import MAX_INFLATED_BYTES, deflate, inflate
from common.messages.uplink import Event, Readings, Value

STREAM = "0f5c2d6c1a9b4e0e8f7a6b5c4d3e2f10"
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.builds(
    Value, st.integers(1, 9), st.none() | INT64, st.integers(0, 15), st.none() | INT64
)
BODIES = st.one_of(
    st.builds(Readings, st.integers(0, 2**53), st.lists(VALUES, max_size=4)),
    st.builds(Event, st.integers(0, 2**53), st.just("code"), st.just("info"), st.just("text")),
)
STAMPS = st.tuples(
    st.integers(0, 2**53), st.integers(0, 9), st.integers(0, 2**40), st.integers(0, 3)
)


def entry(seq: int, body: Readings | Event, stamp: tuple[int, int, int, int]) -> Entry:
    return Entry(seq, msgspec.Raw(msgspec.json.encode(body)), *stamp)


def reading(seq: int, value: int = 1, at: int = 1000) -> Entry:
    return entry(seq, Readings(at, [Value(1, value)]), (at + 5, 1, 500, 3))


@given(st.lists(st.tuples(BODIES, STAMPS, st.integers(0, 2)), min_size=1, max_size=12))
def test_every_entry_comes_out_as_it_went_in(
    given_: list[tuple[Readings | Event, tuple[int, int, int, int], int]],
) -> None:
    entries: list[Entry] = []
    lost: list[Lost] = []
    seq = 1
    for body, stamp, gap in given_:
        if gap:
            lost.append(Lost(seq, seq + gap - 1, "quota"))
            seq += gap
        entries.append(entry(seq, body, stamp))
        seq += 1
    batch = unpack(pack(STREAM, entries, lost))
    assert (batch.stream, batch.first, batch.last, batch.lost) == (STREAM, 1, seq - 1, lost)
    assert [(seq, bytes(body)) for seq, body in batch.bodies().items()] == [
        (one.seq, bytes(one.body)) for one in entries
    ]
    assert sum(span.count for span in batch.clock) == len(entries)


def test_the_stamps_of_a_steady_clock_are_one_span_and_a_step_begins_another() -> None:
    entries = [
        entry(n, Event(1, "c", "info", "t"), (1000 + n * 100 + shift, 7, n * 100 + jitter, 3))
        for n, (shift, jitter) in enumerate([(0, 0), (0, 9), (0, -9), (3600_000, 0)], 1)
    ]
    assert unpack(pack(STREAM, entries)).clock == [
        ClockSpan(3, 7, 1000, 3),
        ClockSpan(1, 7, 3601_000, 3),
    ]


def test_a_loss_without_any_entry_is_a_batch() -> None:
    batch = unpack(pack(STREAM, [], [Lost(5, 9, "quota: drop_oldest")]))
    assert (batch.first, batch.last, batch.seqs) == (5, 9, [])


def without_a_value(columns: dict[str, Any]) -> None:
    columns["value"].pop()


def with_a_hole(columns: dict[str, Any]) -> None:
    columns["last"] += 1


def with_a_number_twice(columns: dict[str, Any]) -> None:
    columns["lost"] = [[1, 1, "quota"]]


def with_a_time_too_few(columns: dict[str, Any]) -> None:
    columns["at"].pop()


def with_a_sum_beyond_64_bits(columns: dict[str, Any]) -> None:
    columns["value"] = [2**63 - 1, 1]


def with_a_time_before_1970(columns: dict[str, Any]) -> None:
    columns["at"] = [1000, -1001]


def with_a_range_that_ends_before_it_begins(columns: dict[str, Any]) -> None:
    columns["last"] = 0


def with_a_huge_range(columns: dict[str, Any]) -> None:
    columns["last"] = 2**62


@pytest.mark.parametrize(
    "spoil",
    [
        without_a_value,
        with_a_hole,
        with_a_number_twice,
        with_a_time_too_few,
        with_a_sum_beyond_64_bits,
        with_a_time_before_1970,
        with_a_range_that_ends_before_it_begins,
        with_a_huge_range,
    ],
)
def test_a_batch_that_is_not_whole_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    columns = json.loads(inflate(pack(STREAM, [reading(1), reading(2, 5)])))
    spoil(columns)
    with pytest.raises(Undecodable):
        unpack(json.dumps(columns).encode())


def test_a_body_that_is_no_reading_of_ours_goes_as_it_stands() -> None:
    odd = b'{"k":"readings","at":1000,"r":[[1,9223372036854775808,0,null]]}'
    batch = unpack(pack(STREAM, [Entry(1, msgspec.Raw(odd)), reading(2)]))
    assert bytes(batch.others[0].body) == odd
    assert batch.seqs == [2]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x78\x9c",
        b"\x78\x9cnonsense that is no deflate",
        deflate(b"a" * 1000)[:-3],
        deflate(b"a" * 1000) + b"more",
        deflate(b" " * (MAX_INFLATED_BYTES + 1)),
    ],
)
def test_what_cannot_be_inflated_whole_is_refused(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        inflate(payload)


def test_a_live_message_of_five_readings_is_small() -> None:
    values = [Value(no, 100_003 * no, 0, 7_919 * no) for no in range(1, 6)]
    body = Readings(1_763_900_000_123, values)
    assert len(pack(STREAM, [entry(123_456, body, (1_763_900_000_125, 7, 99_999_125, 3))])) < 150
