"""docs/protocol.md is normative: every example in it is a message that the code speaks."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from common import topics
from common.errors import Undecodable
from common.messages import batch, downlink, envelope, uplink
from common.reading import Quality

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
EXAMPLES = re.findall(r"^### (\S+ \w+)\n(.*?)(?=^##)", DOCUMENT + "\n##", re.M | re.S)
MESSAGES: dict[str, type[msgspec.Struct]] = {
    "4.1 hello": uplink.Hello,
    "4.2 journal": batch.Columns,
    "4.3 status": uplink.Status,
    "5.1 ack": downlink.Ack,
    "5.2 resume": downlink.Resume,
    "5.3 command": downlink.Command,
    "5.4 config": downlink.Configuration,
}


TIMES = {4317: 1763900000000, 4319: 1763900060000}
"""When the readings of the example in 4.2 were measured, as its text says."""


def examples(text: str) -> list[str]:
    return re.findall(r"```json\n(.*?)\n```", text, re.S)


@pytest.mark.parametrize(("title", "text"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_an_example_is_what_the_code_reads_and_writes(title: str, text: str) -> None:
    first, *bodies = examples(text)
    message = envelope.decode(first.encode(), MESSAGES[title])
    written = json.loads(envelope.encode(message))
    for name, value in json.loads(first).items():
        if not isinstance(value, list):
            assert written[name] == value
    for body in bodies:
        again = msgspec.json.encode(uplink.decode_body(body.encode()))
        assert json.loads(again) == json.loads(body)
    if isinstance(message, batch.Columns):
        taken = batch.unpack(first.encode())
        assert {seq: readings.at for seq, readings in taken.readings()} == TIMES
        for other in taken.others:
            again = msgspec.json.encode(uplink.decode_body(other.body))
            assert json.loads(again) == json.loads(bytes(other.body))


def test_every_message_has_its_example() -> None:
    assert {title for title, _ in EXAMPLES} == set(MESSAGES)


def test_every_topic_and_quality_is_in_the_document() -> None:
    for topic in [topics.up("<gateway>", leaf) for leaf in topics.UP] + [
        topics.down("<gateway>", leaf) for leaf in topics.DOWN
    ]:
        assert f"`{topic}`" in DOCUMENT
    for quality in Quality:
        assert f"{int(quality)} {quality.name.lower().replace('_', ' ')}" in " ".join(
            DOCUMENT.split()
        )


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "not a Hello"),
        (b"\xff", "not a Hello"),
        (b"[]", "not a Hello"),
        (b'{"v":2}', "version 2"),
        (b'{"v":1}', "stream"),
        (b"[" * 100_000, "not a Hello"),
        (b" " * (envelope.MAX_BYTES + 1), "1048577 bytes"),
    ],
)
def test_what_is_not_a_message_is_refused_with_the_reason(payload: bytes, said: str) -> None:
    with pytest.raises(Undecodable, match=said):
        envelope.decode(payload, uplink.Hello)


def test_unknown_fields_are_ignored() -> None:
    resume = b'{"v":1,"stream":"' + b"0" * 32 + b'","committed":[[1,2]],"later":{"a":1}}'
    assert envelope.decode(resume, downlink.Resume).committed == [(1, 2)]
