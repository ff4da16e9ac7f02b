"""Numbers in Modbus registers: every type in every order, and what a device has not."""

import struct
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from edge_agent.protocols.modbus import Absent, Order, Span, Type, decode, encode, merge

# The same number in the four orders; 1-2-3-4-5-6-7-8 shows every byte's place.
PLACES = [
    (Type.U32, Order.ABCD, "0102 0304", 0x01020304),
    (Type.U32, Order.CDAB, "0304 0102", 0x01020304),
    (Type.U32, Order.BADC, "0201 0403", 0x01020304),
    (Type.U32, Order.DCBA, "0403 0201", 0x01020304),
    (Type.U64, Order.ABCD, "0102 0304 0506 0708", 0x0102030405060708),
    (Type.U64, Order.CDAB, "0708 0506 0304 0102", 0x0102030405060708),
    (Type.U64, Order.BADC, "0201 0403 0605 0807", 0x0102030405060708),
    (Type.U64, Order.DCBA, "0807 0605 0403 0201", 0x0102030405060708),
    (Type.U16, Order.ABCD, "0102", 0x0102),
    (Type.U16, Order.DCBA, "0201", 0x0102),
    (Type.S16, Order.ABCD, "FFFE", -2),
    (Type.S32, Order.CDAB, "FFFE FFFF", -2),
    (Type.S64, Order.ABCD, "FFFF FFFF FFFF FFFE", -2),
    (Type.F32, Order.ABCD, "4366 3333", Decimal("230.2")),
    (Type.F32, Order.CDAB, "3333 4366", Decimal("230.2")),
    (Type.F32, Order.BADC, "6643 3333", Decimal("230.2")),
    (Type.F32, Order.DCBA, "3333 6643", Decimal("230.2")),
    (Type.F64, Order.ABCD, "3FB9 9999 9999 999A", Decimal("0.1")),
    (Type.F64, Order.CDAB, "999A 9999 9999 3FB9", Decimal("0.1")),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("kind", "order", "text", "number"), PLACES)
def test_each_byte_is_found_in_its_place(
    kind: Type, order: Order, text: str, number: int | Decimal
) -> None:
    assert decode(words(text), kind, order) == number
    assert list(encode(Decimal(number), kind, order)) == words(text)


ABSENT = [
    (Type.U16, Absent.ALL_ONES, "FFFF"),
    (Type.U32, Absent.ALL_ONES, "FFFF FFFF"),
    (Type.U64, Absent.ALL_ONES, "FFFF FFFF FFFF FFFF"),
    (Type.S16, Absent.MAX_SIGNED, "7FFF"),
    (Type.S32, Absent.MAX_SIGNED, "7FFF FFFF"),
    (Type.S64, Absent.MAX_SIGNED, "7FFF FFFF FFFF FFFF"),
    (Type.S16, Absent.MIN_SIGNED, "8000"),
    (Type.S32, Absent.MIN_SIGNED, "8000 0000"),
    (Type.U32, Absent.ZERO, "0000 0000"),
    (Type.F32, None, "7FC0 0000"),
    (Type.F32, None, "FFC0 0000"),
    (Type.F32, None, "7F80 0000"),
    (Type.F64, None, "7FF8 0000 0000 0000"),
    (Type.F64, None, "FFF0 0000 0000 0000"),
]


@pytest.mark.parametrize(("kind", "absent", "text"), ABSENT)
def test_what_a_device_has_not_is_no_number(kind: Type, absent: Absent | None, text: str) -> None:
    assert decode(words(text), kind, Order.ABCD, absent) is None
    back = encode(None, kind, Order.ABCD, absent)
    assert decode(back, kind, Order.ABCD, absent) is None


def test_without_a_code_the_same_bits_are_a_number() -> None:
    assert decode([0xFFFF], Type.U16, Order.ABCD) == 65535
    assert decode([0xFFFF], Type.S16, Order.ABCD) == -1
    assert decode([0x7FFF], Type.S16, Order.ABCD, Absent.MIN_SIGNED) == 32767


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_the_shortest_decimal_that_is_it(value: float) -> None:
    data = struct.pack(">f", value)
    decimal = decode(struct.unpack(">HH", data), Type.F32, Order.ABCD)
    assert isinstance(decimal, Decimal)
    assert struct.pack(">f", float(decimal)) == data
    assert len(decimal.normalize().as_tuple().digits) <= 9


@given(st.decimals(min_value=-99999, max_value=99999, places=1))
def test_a_short_decimal_survives_a_float32(value: Decimal) -> None:
    assert decode(encode(value, Type.F32, Order.CDAB), Type.F32, Order.CDAB) == value


@given(data=st.data())
@pytest.mark.parametrize(("kind", "order"), list(product(Type, Order)))
def test_what_was_encoded_is_decoded(kind: Type, order: Order, data: st.DataObject) -> None:
    if kind.is_float:
        value = Decimal(repr(data.draw(st.floats(width=32, allow_nan=False, allow_infinity=False))))
    else:
        low = -(1 << kind.bits - 1) if kind.signed else 0
        value = Decimal(data.draw(st.integers(low, low + (1 << kind.bits) - 1)))
    decoded = decode(encode(value, kind, order), kind, order)
    assert decoded is not None
    if kind is Type.F32:
        assert struct.pack(">f", decoded) == struct.pack(">f", value)
    else:
        assert decoded == value


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Undecodable, match="does not fit u16"):
        encode(Decimal(65536), Type.U16, Order.ABCD)
    with pytest.raises(Undecodable, match="does not fit u16"):
        encode(Decimal(-1), Type.U16, Order.ABCD)
    with pytest.raises(Undecodable, match="takes 2 registers, not 1"):
        decode([1], Type.U32, Order.ABCD)


MERGES = [
    ([(0, 2), (2, 2), (4, 2)], 125, 0, [(0, 6)]),
    ([(4, 2), (0, 2), (2, 2)], 125, 0, [(0, 6)]),
    ([(0, 2), (3, 2)], 125, 0, [(0, 2), (3, 2)]),
    ([(0, 2), (3, 2)], 125, 1, [(0, 5)]),
    ([(0, 4), (4, 4)], 6, 0, [(0, 4), (4, 4)]),
    ([(0, 2), (0, 4)], 125, 0, [(0, 4)]),
    ([(0, 4), (1, 2), (10, 1)], 125, 0, [(0, 4), (10, 1)]),
    ([], 125, 0, []),
]


@pytest.mark.parametrize(("spans", "limit", "gap", "requests"), MERGES)
def test_neighbours_are_asked_for_together(
    spans: list[tuple[int, int]], limit: int, gap: int, requests: list[tuple[int, int]]
) -> None:
    merged = merge([Span(*span) for span in spans], limit, gap)
    assert [(span.address, span.count) for span in merged] == requests


@given(
    spans=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([1, 2, 4])), max_size=40),
    limit=st.integers(4, 125),
    gap=st.integers(0, 20),
)
def test_no_value_is_cut_and_no_request_is_too_long(
    spans: list[tuple[int, int]], limit: int, gap: int
) -> None:
    requests = merge([Span(*span) for span in spans], limit, gap)
    assert all(request.count <= limit for request in requests)
    for address, count in spans:
        assert any(r.address <= address and address + count <= r.end for r in requests)
