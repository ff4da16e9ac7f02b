"""Keys, identities, topics, clocks and configuration files."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Struct

from common import topics
from common.clock import ManualClock, to_datetime, to_ms
from common.errors import ConfigError, Undecodable
from common.ids import check_hex_id, check_key, new_command_id, new_stream_id
from common.settings import load_toml, parse_toml, read_secret


@pytest.mark.parametrize("key", ["a", "hall-1", "a_b", "0", "x" * 48])
def test_a_good_key_is_taken_as_it_is(key: str) -> None:
    assert check_key(key, "gateway") == key


@pytest.mark.parametrize(
    "key", ["", "-a", "a-", "A", "a b", "x" * 49, "a/b", "a+", "#", "ä", "a\n"]
)
def test_a_bad_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(Undecodable, match="gateway"):
        check_key(key, "gateway")


def test_identities_have_their_form_and_do_not_repeat() -> None:
    ids = [new_command_id() for _ in range(100)] + [new_stream_id()]
    assert len({check_hex_id(i, "command") for i in ids}) == 101
    assert all(i[12] == "7" and i[16] in "89ab" for i in ids[:100])
    with pytest.raises(Undecodable):
        check_hex_id("ABC", "command")


def test_a_topic_is_taken_apart_as_it_was_put_together() -> None:
    assert topics.parse(topics.up("hall-1", "journal")) == ("hall-1", "up", "journal")
    assert topics.parse(topics.down("hall-1", "ack")) == ("hall-1", "down", "ack")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "inmetter/v1/hall-1/up/ack",
        "inmetter/v1/hall-1/down/journal",
        "inmetter/v2/hall-1/up/journal",
        "inmetter/v1//up/journal",
        "inmetter/v1/UPPER/up/journal",
        "inmetter/v1/hall-1/up/journal/x",
    ],
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(Undecodable):
        topics.parse(topic)


def test_a_shared_subscription_needs_a_group() -> None:
    assert topics.shared("ingest", "a/b") == "$share/ingest/a/b"
    assert topics.shared("", "a/b") == "a/b"


def test_milliseconds_and_datetimes_say_the_same_instant() -> None:
    at = datetime(2026, 3, 29, 1, 2, 3, 456_000, UTC)
    assert to_datetime(to_ms(at)) == at
    assert to_ms(to_datetime(-1)) == -1


async def test_a_manual_clock_wakes_sleepers_in_their_order_and_not_before() -> None:
    clock = ManualClock(1_000)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sleeper("b", 2)), group.create_task(sleeper("a", 1))]
        while clock.sleepers < 2:
            await clock.sleep(0)
        clock.advance(0.999)
        await clock.sleep(0)
        assert woken == []
        clock.advance(0.001)
        await tasks[1]
        assert woken == ["a"]
        clock.advance(1)
    assert woken == ["a", "b"]
    assert (clock.now_ms(), clock.monotonic()) == (3_000, 2.0)


class Part(Struct, forbid_unknown_fields=True):
    unit: int


class Whole(Struct, forbid_unknown_fields=True):
    name: str
    part: list[Part] = []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "line 1"),
        ("name = 'a'\nother = 1", "other"),
        ("part = []", "name"),
        ("name = 1", "name: expected `str`, got `int`"),
        ("name = 'a'\n[[part]]\nunit = 1\n[[part]]\nunit = 'x'", "part[2].unit: expected `int`"),
        ("name = 'a'\nname = 'b'", "line 2"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_line_or_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text.encode(), Whole, "x.toml")
    assert str(caught.value).startswith("x.toml: ")
    assert said in str(caught.value)


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        parse_toml(b"a = 1\nb = '\xff'", Whole, "x.toml")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_toml(tmp_path / "none.toml", Whole)


def test_a_secret_is_one_line_and_never_empty(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  word \nmore\n")
    assert read_secret(path) == "word"
    path.write_text("\n")
    with pytest.raises(ConfigError, match="empty"):
        read_secret(path)
