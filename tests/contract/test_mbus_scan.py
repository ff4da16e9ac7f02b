"""Scans of simulated lines: primary addresses, and the search by secondary address."""

import msgspec
import pytest

from common.errors import Disconnected, NoAnswer
from edge_agent.drivers.line import Line
from edge_agent.drivers.mbus_found import Meter, News, Progress, Trouble
from edge_agent.drivers.mbus_probe import Prober
from edge_agent.drivers.mbus_scan import PrimaryPosition, scan_primary
from edge_agent.drivers.mbus_search import SearchPosition, search_from, search_secondary
from edge_agent.protocols.mbus import link
from edge_agent.protocols.mbus.selection import Secondary, parse_selection
from edge_agent.simulators.mbus import Bus
from edge_agent.simulators.mbus_records import ElectricityRecords, VolumeRecords
from edge_agent.simulators.mbus_slave import Identity, Slave
from tests.contract.mbus_site import BusTransport, Noisy, electricity, line_through, line_to
from tests.unit.test_mbus_simulator import NOW_MS, Steady


def prober_of(bus: Bus | Noisy) -> tuple[Prober, BusTransport]:
    line, transport = line_to(bus)
    return Prober(line, 0.4), transport


async def primary(bus: Bus | Noisy, first: int = 0, last: int = 250) -> list[News]:
    scanning = scan_primary(prober_of(bus)[0], PrimaryPosition(first, last, first))
    return [news async for news in scanning if not isinstance(news, Progress)]


async def search(bus: Bus | Noisy, mask: str = "F" * 8) -> tuple[list[str], list[Trouble], int]:
    """Secondary addresses found, troubles, and how many masks were asked."""
    prober, transport = prober_of(bus)
    news = [one async for one in search_secondary(prober, search_from(Secondary(mask)))]
    asked = [one for one in transport.asked if isinstance(one, link.LongFrame)]
    found = [str(one.secondary) for one in news if isinstance(one, Meter)]
    return sorted(found), [one for one in news if isinstance(one, Trouble)], len(asked)


async def test_every_meter_is_found_at_its_primary_address_with_who_it_is() -> None:
    water = Slave(250, Identity("00000007", "ABC", 9, 7), VolumeRecords(Steady(), "00000007"))
    first, last = await primary(Bus([electricity(0, "10203040"), water]))
    assert isinstance(first, Meter)
    assert (first.address, first.secondary) == (0, "10203040-INM-01-02")
    assert (first.manufacturer, first.version, first.medium) == ("INM", 1, "electricity")
    assert first.profiles[0] == "mbus_electricity_3phase"
    assert isinstance(last, Meter)
    assert (last.address, last.identification, last.medium) == (250, "00000007", "water")
    assert last.profiles == ("mbus_water",)


async def test_meters_that_share_a_primary_address_are_told_as_a_collision() -> None:
    (trouble,) = await primary(Bus([electricity(5, "10203040"), electricity(5, "99999999")]), 4, 6)
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.where) == ("collision", "primary address 5")


async def test_a_line_of_noise_is_told_as_noise_and_left() -> None:
    news = await primary(Noisy(Bus([])))
    assert {one.kind for one in news if isinstance(one, Trouble)} == {"noise"}
    assert len(news) == 4
    assert "HTTP" in str(news[-1])


async def test_one_garbled_answer_hides_no_meter_and_makes_none() -> None:
    for question in range(1, 8):
        bus = Noisy(Bus([electricity(1, "10203040")]), [question])
        news = await primary(bus, 0, 3)
        assert [one.address for one in news if isinstance(one, Meter)] == [1], question


async def test_a_single_meter_is_found_with_one_selection() -> None:
    assert await search(Bus([electricity(1, "10203040")])) == (["10203040-INM-01-02"], [], 1)


async def test_an_echoing_line_is_scanned_like_any_other() -> None:
    slaves = [electricity(1, "10203040"), electricity(2, "10903040"), electricity(4, "5" * 8)]
    prober = Prober(line_to(Bus(slaves), echoes=True)[0], 0.4)
    news = [one async for one in scan_primary(prober, PrimaryPosition(0, 5))]
    assert [one.address for one in news if isinstance(one, Meter)] == [1, 2, 4]
    assert not [one for one in news if isinstance(one, Trouble)]
    news = [one async for one in search_secondary(prober, search_from(Secondary()))]
    assert [one.address for one in news if isinstance(one, Meter)] == [1, 2, 4]
    assert not [one for one in news if isinstance(one, Trouble)]


async def test_a_meter_that_answers_after_its_time_is_found_in_the_next_ones() -> None:
    class Late(BusTransport):
        """What the meter at 1 says comes when the one after it is asked."""

        late = b""

        def write(self, data: bytes) -> None:
            super().write(data)
            asked = self.asked[-1]
            if len(self.asked) > 4 or not isinstance(asked, link.ShortFrame) or asked.address > 2:
                return
            late = asked.address == 1
            self.late, self._heard = (self._heard, b"") if late else (b"", self.late)

    transport = Late(Bus([electricity(1, "10203040")]))

    async def connect(timeout_s: float) -> Late:
        return transport

    prober = Prober(Line("tcp://bus:1", connect=connect), 0.4)
    news = [one async for one in scan_primary(prober, PrimaryPosition(1, 3, 1))]
    assert [one.address for one in news if isinstance(one, Meter)] == [1]


async def test_a_converter_that_hangs_up_now_and_then_is_scanned_to_the_end() -> None:
    class Leaving(BusTransport):
        """Hangs up on every third question."""

        async def read(self, timeout_s: float) -> bytes:
            if len(self.asked) == 3:
                self.is_open = False
                raise Disconnected("the far end hung up")
            return await super().read(timeout_s)

    bus = Bus([electricity(n, f"1000000{n}") for n in range(4)])

    async def connect(timeout_s: float) -> Leaving:
        return Leaving(bus)

    prober = Prober(Line("tcp://bus:1", connect=connect, quiet_s=0.0), 0.4)
    news = [one async for one in scan_primary(prober, PrimaryPosition(0, 5))]
    assert [one.address for one in news if isinstance(one, Meter)] == [0, 1, 2, 3]


async def test_silence_ends_the_search_at_once() -> None:
    assert await search(Bus([])) == ([], [], 1)


async def test_meters_with_common_digits_are_told_apart_digit_by_digit() -> None:
    numbers = ["10203040", "10203041", "10203050", "10999999", "55555555", "00000000", "99999999"]
    found, troubles, asked = await search(
        Bus([electricity(n, number) for n, number in enumerate(numbers)])
    )
    assert found == sorted(f"{number}-INM-01-02" for number in numbers)
    assert troubles == []
    assert asked < 120


async def test_a_search_can_be_limited_to_a_mask() -> None:
    bus = Bus([electricity(1, "10203040"), electricity(2, "20203040"), electricity(3, "10203999")])
    found, _, _ = await search(bus, "1FFFFFFF")
    assert found == ["10203040-INM-01-02", "10203999-INM-01-02"]


@pytest.mark.parametrize(
    "others",
    [
        [("ABC", 1, 2)],
        [("INM", 7, 2)],
        [("INM", 1, 7)],
        [("INM", 1, 0x3C), ("ZZZ", 1, 2), ("INN", 1, 2), ("INM", 200, 2)],
    ],
)
async def test_meters_with_equal_identifications_are_found_by_maker_version_and_medium(
    others: list[tuple[str, int, int]],
) -> None:
    every = [("INM", 1, 2), *others]
    slaves = [electricity(n, "12345678", *one) for n, one in enumerate(every)]
    found, troubles, _ = await search(Bus(slaves))
    assert found == sorted(f"12345678-{one}-{two:02X}-{three:02X}" for one, two, three in every)
    assert troubles == []


async def test_meters_that_are_equal_in_every_byte_are_told_as_a_collision() -> None:
    twins = [electricity(1, "12345678"), electricity(2, "12345678")]
    twins[1].latency_bits += 3
    found, troubles, _ = await search(Bus([*twins, electricity(3, "11111111")]))
    assert found == ["11111111-INM-01-02"]
    assert [(one.kind, one.where) for one in troubles] == [
        ("collision", "secondary address 12345678-INM-01-02")
    ]


async def test_identifications_with_hex_digits_are_found_where_decimal_ones_explain_nothing() -> (
    None
):
    slaves = [electricity(1, "12345678"), electricity(2, "12345678", "ABC")]
    for slave, digits in zip(slaves, ("1A000000", "1B000000"), strict=True):
        slave.identity = msgspec.structs.replace(slave.identity, identification=digits)
    found, troubles, _ = await search(Bus(slaves))
    assert found == ["1A000000-INM-01-02", "1B000000-ABC-01-02"]
    assert troubles == []


async def test_a_search_in_noise_ends_with_noise_instead_of_asking_for_ever() -> None:
    found, troubles, asked = await search(Noisy(Bus([electricity(1, "10203040")])))
    assert found == []
    assert [one.kind for one in troubles] == ["noise"]
    assert asked < 10


async def test_noise_now_and_then_neither_hides_meters_nor_multiplies_questions() -> None:
    numbers = ["10203040", "10203041", "20203050"]
    for step in (7, 11, 13):
        slaves = [electricity(n, number) for n, number in enumerate(numbers)]
        bus = Noisy(Bus(slaves), list(range(5, 5000, step)))
        found, _, asked = await search(bus)
        assert set(found) == {f"{number}-INM-01-02" for number in numbers}, step
        assert asked < 1500


async def test_a_meter_that_takes_every_selection_for_its_own_is_told_as_noise() -> None:
    class Deaf(Slave):
        def answer(self, frame: link.Frame, at_ms: int) -> bytes:
            if isinstance(frame, link.LongFrame):
                return b"\xe5"
            return super().answer(frame, at_ms)

    deaf = Deaf(1, Identity("1" * 8, "INM", 1, 2), ElectricityRecords(Steady(), "1" * 8))
    _, troubles, asked = await search(Bus([deaf, electricity(2, "22222222")]))
    assert [one.kind for one in troubles] == ["noise"]
    assert asked < 50


@pytest.mark.parametrize("stops", [1, 2, 5, 17, 40])
async def test_a_search_goes_on_where_it_was_interrupted(stops: int) -> None:
    numbers = ["10203040", "10203041", "10203050", "10999999", "55555555"]
    bus = Bus([electricity(n, number) for n, number in enumerate(numbers)])
    stored = msgspec.json.encode(search_from(Secondary()))
    found: list[str] = []
    asked = 0
    while True:
        position = msgspec.json.decode(stored, type=SearchPosition)
        scanning = search_secondary(prober_of(bus)[0], position)
        progress = 0
        async for news in scanning:
            if isinstance(news, Meter):
                found.append(str(news.identification))
            progress += isinstance(news, Progress)
            if progress > stops:
                break
        await scanning.aclose()
        stored = msgspec.json.encode(position)
        asked += progress
        if not position.steps:
            break
    assert sorted(found) == sorted(numbers)
    assert asked < 300


class Pausing(BusTransport):
    """Pauses for 0.3 s in the middle of each telegram, as converters do."""

    async def read(self, timeout_s: float) -> bytes:
        heard = await super().read(timeout_s)
        if len(heard) > 20:
            heard, self._heard = heard[:20], heard[20:]
        elif len(heard) > 5 and timeout_s < 0.3:
            self._heard = heard
            raise NoAnswer("nothing yet")
        return heard


async def test_a_pause_within_a_telegram_hides_no_meter() -> None:
    bus = Bus([electricity(1, "10203040"), electricity(2, "20203040")])
    for scanning in (
        scan_primary(Prober(line_through(Pausing(bus)), 0.4), PrimaryPosition(0, 3)),
        search_secondary(Prober(line_through(Pausing(bus)), 0.4), search_from(Secondary())),
    ):
        news = [one async for one in scanning if not isinstance(one, Progress)]
        assert [getattr(one, "identification", one) for one in news] == ["10203040", "20203040"]


class Hidden(Slave):
    """Answers to 254, and not to its own address."""

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        own = isinstance(frame, link.ShortFrame) and frame.address == self.address
        return b"" if own else super().answer(frame, at_ms)


async def test_a_meter_that_answers_to_254_only_is_found_where_it_is_alone() -> None:
    one = electricity(1, "10203040")
    hidden = Hidden(1, one.identity, one._source)
    (found,) = await primary(Bus([hidden]))
    assert isinstance(found, Meter)
    assert (found.address, found.identification) == (254, "10203040")
    assert await primary(Bus([hidden]), 0, 9) == [], "only where every address was asked"


class Misaddressed(Slave):
    """Says in its telegrams that it has the address 0."""

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        answer = super().answer(frame, at_ms)
        if len(answer) < 7:
            return answer
        said = link.parse_one(answer)
        assert isinstance(said, link.LongFrame)
        return msgspec.structs.replace(said, address=0).to_bytes()


async def test_an_answer_with_another_address_is_told_and_not_passed_over() -> None:
    one = electricity(5, "10203040")
    (trouble,) = await primary(Bus([Misaddressed(5, one.identity, one._source)]), 3, 7)
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.where) == ("late", "primary address 5")


async def test_a_meter_is_told_once_when_an_answer_comes_late_behind_it() -> None:
    class Stale(BusTransport):
        """What the meter at 1 says comes again when 2 is asked."""

        def write(self, data: bytes) -> None:
            super().write(data)
            asked = self.asked[-1]
            if isinstance(asked, link.ShortFrame) and asked.address == 2:
                reset = asked.control == link.SND_NKE
                control = asked.control
                self._heard = (
                    b"\xe5" if reset else self._bus.answer(link.ShortFrame(control, 1), NOW_MS)
                )

    prober = Prober(line_through(Stale(Bus([electricity(1, "10203040")]))), 0.4)
    news = [one async for one in scan_primary(prober, PrimaryPosition(0, 3))]
    assert [one.address for one in news if isinstance(one, Meter)] == [1]
    assert [one.kind for one in news if isinstance(one, Trouble)] == ["late"]


async def test_a_meter_that_no_selection_tells_from_another_is_not_passed_over() -> None:
    """A maker of FF FF is a wildcard: nobody can select it alone."""
    unnamed = electricity(2, "12345678")

    class Unnamed(Slave):
        def answer(self, frame: link.Frame, at_ms: int) -> bytes:
            mask = parse_selection(frame) if isinstance(frame, link.LongFrame) else None
            if mask is not None and mask.rest[:2] != (0xFF, 0xFF):
                self.selected = False
                return b""
            return super().answer(frame, at_ms)

    slaves = [electricity(1, "12345678", "ABC"), Unnamed(2, unnamed.identity, unnamed._source)]
    slaves[1].latency_bits = 200
    found, troubles, _ = await search(Bus(slaves))
    assert found == ["12345678-ABC-01-02"]
    assert [one.kind for one in troubles] == ["collision"]
    assert "only one of them could be found" in troubles[0].text


@pytest.mark.parametrize(
    "stored",
    [
        b'{"type":"primary","next":-1}',
        b'{"type":"primary","next":3,"last":300}',
        b'{"type":"primary","next":0,"first":9}',
    ],
)
def test_a_stored_position_that_cannot_be_is_refused(stored: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(stored, type=PrimaryPosition)


@pytest.mark.parametrize(
    ("digits", "rest", "level", "silent"),
    [
        ("1234", [255] * 4, 0, []),
        ("1234567G", [255] * 4, 0, []),
        ("12345678", [256] * 4, 8, []),
        ("FFFFFFFF", [255] * 4, 13, []),
        ("FFFFFFFF", [255] * 4, -1, []),
        ("FFFFFFFF", [255] * 4, 0, [300]),
    ],
)
def test_a_stored_step_that_cannot_be_is_refused(
    digits: str, rest: list[int], level: int, silent: list[int]
) -> None:
    step = {"mask": {"digits": digits, "rest": rest}, "level": level, "silent": silent}
    stored = msgspec.json.encode({"type": "secondary", "steps": [step]})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(stored, type=SearchPosition)
