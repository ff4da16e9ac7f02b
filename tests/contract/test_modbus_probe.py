"""The probe: what may stand in registers, and what an installer is shown."""

import asyncio
import json
import struct
from decimal import Decimal

import pytest

from edge_agent.__main__ import main
from edge_agent.protocols.modbus import Order, Type, encode
from edge_agent.protocols.modbus_guess import guesses, power_of_ten, shown, text
from tests.contract.modbus_peer import peer, registers, rtu, rtu_peer
from tests.contract.modbus_units import Registers, gateway, rtu_units

VALUES = {
    Type.U16: "2305",
    Type.S16: "-2305",
    Type.U32: "123456789",
    Type.S32: "-1234567",
    Type.U64: "123456789012",
    Type.S64: "-123456789012",
    Type.F32: "230.5",
    Type.F64: "1234567.875",
}


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("kind", Type)
def test_every_type_is_shown_and_marked_in_its_own_order(kind: Type, order: Order) -> None:
    value = Decimal(VALUES[kind])
    found = {(one.type, one.order): one for one in guesses(encode(value, kind, order))}
    assert len(found) == 4 * sum(other.words == kind.words for other in Type)
    assert found[kind, order].value == value
    assert found[kind, order].plausible


@pytest.mark.parametrize(
    "words",
    [
        *[(0,), (0xFFFF,), (0x7FFF,), (0x8000,)],
        *[(0, 0), (0xFFFF, 0xFFFF), (0x7FFF, 0xFFFF), (0x8000, 0), (0x7FC0, 0)],
        *[(0, 0, 0, 0), (0xFFFF,) * 4, (0x7FF8, 0, 0, 0)],
    ],
)
def test_what_says_that_there_is_no_value_is_not_plausible(words: tuple[int, ...]) -> None:
    assert not any(one.plausible for one in guesses(words) if one.order is Order.ABCD)


@pytest.mark.parametrize(
    ("kind", "value", "plausible"),
    [
        (Type.F32, "0.001", True),
        (Type.F32, "0.0009", False),
        (Type.F32, "-1E+9", True),
        (Type.F32, "2E+9", False),
        (Type.U32, "1000000000", True),
        (Type.U32, "1000000001", False),
        (Type.U64, "1000000000000000", True),
        (Type.U64, "1000000000000001", False),
        (Type.F64, "2E+9", False),
    ],
)
def test_a_meters_values_have_a_meters_size(kind: Type, value: str, plausible: bool) -> None:
    words = encode(Decimal(value), kind, Order.ABCD)
    found = {(one.type, one.order): one for one in guesses(words)}
    assert found[kind, Order.ABCD].plausible is plausible


@pytest.mark.parametrize(
    ("value", "expected", "power"),
    [
        ("2305", "230.5", -1),
        ("230.5", "2305", 1),
        ("1234567", "1234.567", -3),
        ("95", "100", 0),
        ("105", "100", 0),
        ("94.9", "100", None),
        ("105.1", "100", None),
        ("999", "1", -3),
        ("1001", "1", -3),
        ("9.6", "1", -1),
        ("-5", "5", None),
        ("-50", "-5", -1),
        ("0", "0", 0),
        ("0", "5", None),
        ("5", "0", None),
        ("1E-9", "1", 9),
        ("1E-10", "1", None),
    ],
)
def test_a_display_is_met_within_five_percent_at_any_power_of_ten(
    value: str, expected: str, power: int | None
) -> None:
    assert power_of_ten(Decimal(value), Decimal(expected)) == power


@pytest.mark.parametrize(
    ("words", "order", "found"),
    [
        ((0x4232, 0x3320), Order.ABCD, "B23"),
        ((0x3242, 0x2033), Order.BADC, "B23"),
        ((0x3320, 0x4232), Order.CDAB, "B23"),
        ((0x4232, 0x0000), Order.ABCD, "B2"),
        ((0x4200, 0x0000), Order.ABCD, None),
        ((0x0042, 0x3233), Order.ABCD, None),
        ((0x42E4, 0x3233), Order.ABCD, None),
    ],
)
def test_text_is_shown_as_text(words: tuple[int, ...], order: Order, found: str | None) -> None:
    assert text(words, order) == found


@pytest.mark.parametrize(
    ("value", "words"),
    [("230.5", "230.5"), ("1E-40", "1e-40"), ("123456789012", "123456789012"), (None, "no number")],
)
def test_numbers_are_shown_as_they_are_while_they_are_short(value: str | None, words: str) -> None:
    assert shown(None if value is None else Decimal(value)) == words


def words_of(address: int, data: bytes) -> dict[int, int]:
    return dict(enumerate(struct.unpack(f">{len(data) // 2}H", data), address))


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["probe", "modbus", *arguments])


async def test_a_swapped_float_is_found_beside_the_address_that_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    low_first = struct.pack(">2H", *struct.unpack(">2H", struct.pack(">f", 230.5))[::-1])
    async with rtu_units({5: Registers(words_of(99, low_first))}) as url:
        code = await run(url, "--unit", "5", "--address", "100", "--expect", "230", "--json")
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [one["function"] for one in found["functions"]] == [3, 4]
    holding, inputs = found["functions"]
    plausible = [
        (read["address"], value["type"], value["order"], value["value"])
        for read in holding["reads"]
        for value in read["values"]
        if value["plausible"]
    ]
    assert plausible == [(99, "f32", "CDAB", "230.5")]
    errors = {(read["address"], read["count"]): read["error"] for read in holding["reads"]}
    assert errors[99, 2] is None
    assert errors[99, 4].startswith("exception 02 (illegal data address): no such register")
    assert errors[100, 1] is None
    assert errors[101, 1].startswith("exception 02")
    assert all(read["error"].startswith("exception 01") for read in inputs["reads"])


async def test_the_table_shows_three_addresses_side_by_side(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = struct.pack(">fq", 49.98, 123456789012) + b"B23 " + bytes(8)
    async with rtu_units({1: Registers(words_of(0x5000, data))}) as url:
        given = ("--unit", "1", "--address", "0x5001", "--function", "3")
        assert await run(url, *given) == 0
        assert await run(url, "--unit", "1", "--address", "0x5006", "--function", "3") == 0
    first, second = capsys.readouterr().out.split("holding registers (function 3)\n")[1:]
    head, *rows = first.splitlines()
    assert head.split() == ["type", "order", "20480", "20481", "20482"]
    cells = {tuple(row.split()[:2]): row for row in rows if row}
    assert "49.98 *" in cells["f32", "ABCD"]
    assert "123456789012 *" in cells["u64", "ABCD"]
    assert [row for row in cells if row[0] == "u16"] == [("u16", "AB"), ("u16", "BA")]
    assert "from 0.001 to 10^9" in first
    assert "'B23'" in second
    assert "input registers" not in first


async def test_an_expected_value_is_shown_with_its_power_of_ten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with rtu_units({1: Registers({0: 2305, 1: 0})}) as url:
        assert await run(url, "--unit", "1", "--address", "0", "--expect", "230,5") == 0
    output = capsys.readouterr().out
    assert "2305 * ×10^-1" in output
    assert "within 5 % of 230.5" in output
    assert "input registers (function 4)\neverywhere: exception 01" in output


async def test_a_device_that_refuses_single_registers_still_shows_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As Eastron's meters do, with exception 03 for an odd number (register maps §1)."""

    def reply(request: bytes) -> bytes:
        return rtu("84 03") if request[5] % 2 else registers(request, *(7, 8, 9, 10)[: request[5]])

    async with rtu_peer(reply) as (_, url):
        given = ("--unit", "1", "--address", "2", "--function", "4", "--json")
        assert await run(url, *given) == 0
    reads = json.loads(capsys.readouterr().out)["functions"][0]["reads"]
    single = next(read for read in reads if (read["address"], read["count"]) == (2, 1))
    assert single["error"].startswith("exception 03 (illegal data value): too many registers")
    assert single["words"] == []
    assert single["values"][0] == {
        "type": "u16",
        "order": "ABCD",
        "value": "7",
        "plausible": True,
        "power_of_ten": None,
    }


async def test_the_edges_of_the_register_space_are_not_crossed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with rtu_units({1: Registers({0: 1, 0xFFFF: 2})}) as url:
        for address in ("0", "65535"):
            await run(url, "--unit", "1", "--address", address, "--function", "3", "--json")
            reads = json.loads(capsys.readouterr().out)["functions"][0]["reads"]
            spans = [(read["address"], read["count"]) for read in reads]
            assert all(start >= 0 and start + count <= 65536 for start, count in spans)
            capsys.readouterr()


async def test_a_device_that_answers_short_is_told_from_one_that_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with rtu_peer(lambda r: registers(r, 7)) as (_, url):
        assert await run(url, "--unit", "1", "--address", "10", "--function", "3", "--json") == 0
    reads = json.loads(capsys.readouterr().out)["functions"][0]["reads"]
    by_count = {read["count"]: read for read in reads}
    assert by_count[1]["words"] == ["0007"]
    assert by_count[2]["error"].startswith("asked for 2 registers, got 1: it holds fewer")


async def test_the_wrong_kind_of_frames_is_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--unit", "1", "--address", "0", "--timeout", "0.2")
    async with rtu_units({1: Registers({0: 1})}) as url:
        wrong = url.replace("rtu+tcp", "tcp")
        assert await run(wrong, *arguments) == 1
        assert f"It answers as {url}: use that" in capsys.readouterr().err
        assert await run(url, "--unit", "2", "--address", "0", "--timeout", "0.05") == 1
        assert "wrong unit number (asked for 2)" in capsys.readouterr().err
        assert await run(wrong, *arguments, "--json") == 1
        assert json.loads(capsys.readouterr().out)["error"].endswith(f"as {url}: use that.")
    async with gateway(lambda _, __: bytes((3, 2, 0, 7))) as url:
        wrong = url.replace("tcp", "rtu+tcp")
        assert await run(wrong, *arguments) == 1
        assert f"It answers as {url}: use that" in capsys.readouterr().err


async def test_a_web_server_and_a_closed_port_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--unit", "1", "--address", "0")
    async with peer(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as (_, url):
        assert await run(url, *arguments) == 1
        assert "a web server answers there: wrong port" in capsys.readouterr().err
    assert await run(url, *arguments) == 1
    assert "refused: nothing listens on that port" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--unit", "256", "--address", "0"],
        ["--unit", "1", "--address", "65536"],
        ["--unit", "1", "--address", "x"],
        ["--unit", "1", "--address", "0", "--expect", "NaN"],
        ["--unit", "1", "--address", "0", "--function", "5"],
        ["--unit", "1"],
    ],
)
def test_wrong_usage_ends_with_two(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", "modbus", "tcp://127.0.0.1:502", *wrong])
    assert caught.value.code == 2


def test_a_wrong_url_is_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "modbus", "udp://h:1", "--unit", "1", "--address", "0"]) == 2
    assert "expected tcp, rtu+tcp or serial" in capsys.readouterr().err
