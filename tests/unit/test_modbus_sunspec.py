"""SunSpec: the chain of models is walked wherever it stands, and says what it lacks."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from common.errors import FrameError, NotFound, Undecodable
from common.reading import Quality
from edge_agent.profiles.modbus import load_profile
from edge_agent.protocols import sunspec
from edge_agent.protocols.modbus import Span
from edge_agent.protocols.sunspec import Model

METERS = (201, 202, 203, 204)
COMMON = (1, [0] * 66)
INVERTER = (103, [0] * 50)
METER = (203, [0] * 105)


def find(words: Mapping[int, int], *numbers: int) -> tuple[Model, list[Span]]:
    """The model, and what was asked; a register that is not there is refused."""
    search, asked, answer = sunspec.search(numbers), [], None
    try:
        while True:
            span = search.send(answer)
            asked.append(span)
            own = range(span.address, span.end)
            answer = [words[at] for at in own] if all(at in words for at in own) else None
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_meter_is_found_behind_other_models(base: int) -> None:
    words = sunspec.chain(base, [COMMON, INVERTER, METER])
    model, asked = find(words, *METERS)
    assert model == Model(203, base + 2 + 68 + 52, 105)
    assert all(span.count == 2 for span in asked)
    assert list(model.header) == [model.address, model.address + 1]


def test_the_first_of_several_meters_is_taken() -> None:
    words = sunspec.chain(0, [COMMON, METER, (201, [0] * 105)])
    assert find(words, *METERS)[0].number == 203


def test_other_registers_where_the_marker_may_stand_are_passed_over() -> None:
    words = sunspec.chain(50000, [METER]) | {40000: 0x5375, 40001: 0x0000}
    assert find(words, *METERS)[0].address == 50002


def test_a_device_without_a_marker_is_no_sunspec_device() -> None:
    with pytest.raises(NotFound, match="no marker at 40000, 50000, 0"):
        find({40000: 1, 40001: 2}, *METERS)


@pytest.mark.parametrize("ends_by", ["marker", "refusal"])
def test_a_chain_without_a_meter_says_what_there_is(ends_by: str) -> None:
    words = sunspec.chain(40000, [COMMON, INVERTER])
    if ends_by == "refusal":
        del words[max(words)]
    with pytest.raises(NotFound, match=r"none of .* 201, 202, 203, 204; there are \[1, 103\]"):
        find(words, *METERS)


@pytest.mark.parametrize("length", [0, 0xFFFF])
def test_a_chain_that_has_no_end_is_given_up(length: int) -> None:
    words = dict.fromkeys(range(0x10000), 0) | {40000: 0x5375, 40001: 0x6E53}
    words |= {40002: 5, 40003: length}
    with pytest.raises(NotFound):
        find(words, *METERS)


def test_a_model_that_has_moved_or_is_too_short_is_noticed() -> None:
    model = Model(203, 40070, 105)
    model.check([203, 105])
    with pytest.raises(FrameError, match="model 203 is not at register 40070 now"):
        model.check([1, 66])
    model.require(107)
    with pytest.raises(Undecodable, match="model 203 has only 105 registers"):
        model.require(108)


@pytest.mark.parametrize(
    ("exponent", "value"), [(0, "2301"), (1, "23010"), (0xFFFF, "230.1"), (0xFFF6, "2.301E-7")]
)
def test_the_scale_factor_may_change_from_poll_to_poll(exponent: int, value: str) -> None:
    cells = cells_of({8: 2301, 15: exponent})
    reading = next(m for m in PROFILE.decode(cells) if m.key == "voltage_l1")
    assert reading.value == Decimal(value)
    assert reading.raw == 2301


@pytest.mark.parametrize(
    ("word", "quality"),
    [(0x8000, Quality.NOT_AVAILABLE), (11, Quality.DEVICE_ERROR), (0xFFF5, Quality.DEVICE_ERROR)],
)
def test_a_scale_factor_that_is_none_gives_no_value(word: int, quality: Quality) -> None:
    readings = {m.key: m for m in PROFILE.decode(cells_of({8: 2301, 15: word, 18: 500}))}
    assert (readings["voltage_l1"].value, readings["voltage_l1"].quality) == (None, quality)
    assert readings["power"].value == 500


def test_an_index_that_is_not_kept_is_not_an_index_of_nothing() -> None:
    readings = {m.key: m for m in PROFILE.decode(cells_of({46: 0, 47: 1}))}
    assert readings["energy_import"].value == 1
    assert readings["energy_export"].quality is Quality.NOT_AVAILABLE


def test_the_index_starts_again_at_two_to_the_32() -> None:
    index = next(field for field in PROFILE.register if field.key == "energy_import")
    assert index.modulus == 2**32
    cells = PROFILE.fill({"energy_import": Decimal(2**32 + 5)})
    assert (cells[3, 46], cells[3, 47]) == (0, 5)


PROFILE = load_profile("sunspec_meter")


def cells_of(words: Mapping[int, int]) -> dict[tuple[int, int], int]:
    return {(3, address): words.get(address, 0) for address in range(PROFILE.extent)}
