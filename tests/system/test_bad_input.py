"""What strangers and broken things send: refused with a reason, counted, and nothing else lost."""

import secrets
import socket

import httpx
import pytest

from common import topics
from tests.harness.eventually import eventually
from tests.harness.processes import Program
from tests.harness.site import MODULES
from tests.system.plant import Plant
from tests.system.played_gateway import PlayedGateway, now_ms

IN_2099_MS = 4_070_908_800_000
TEN_MEGABYTES = 10_000_000


def _say_line(port: int, line: bytes) -> bytes:
    """What the communication server answers to a stranger who says ``line``, until it hangs up
    or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(line)
        client.settimeout(2)
        answer = b""
        try:
            while data := client.recv(4096):
                answer += data
                if answer.endswith(b"\r\n"):
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def _hello(device: str) -> bytes:
    text = f"$IM1,{device},HELLO,0,1,C11DO1ETH,1.0,1,0,1,0*"
    crc = 0
    for byte in text[1:-1].encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return f"{text}{crc:04X}\r\n".encode()


@pytest.mark.timeout(120)
def test_bad_lines_to_the_communication_server_are_refused_with_a_reason(plant: Plant) -> None:
    plant.site.turns_s = 60
    plant.start_cloud("ingest")
    plant.start_site()
    edge, port = plant.programs["edge"], plant.site.server

    known = MODULES[0].key
    assert b",NAK," in _say_line(port, b"GET / HTTP/1.1\r\n")
    assert b",NAK," in _say_line(port, _hello(known).replace(b",1.0,", b",1.1,"))
    assert b",NAK," in _say_line(port, _hello("stranger"))
    assert b",CHAL," in _say_line(port, _hello(known)), (
        "the good line is one, or this tests nothing"
    )
    _say_line(port, b"\xff\x00" * 100_000)
    _say_line(port, secrets.token_bytes(4096) + b"\r\n")

    edge.wait_for("bad line")
    edge.wait_for("unknown device")
    _still_works(plant, edge)


@pytest.mark.timeout(120)
def test_bad_messages_on_mqtt_are_refused_with_a_reason_and_counted(plant: Plant) -> None:
    plant.site.turns_s = 60
    plant.start_cloud("all")
    plant.start_site()
    ingest = plant.programs["all"]
    with plant.tap() as tap:
        journal = topics.up("played", "journal")
        bad = [
            (journal, b"\x80\x81 garbage"),
            (journal, b"{}"),
            (journal, b"[" * 100_000),
            (journal, b'{"v":99}'),
            (journal, b'{"v":1,"x":"' + b"x" * TEN_MEGABYTES + b'"}'),
            (topics.up("played", "hello"), b"null"),
            (topics.up("played", "status"), b'{"v":1}'),
            (f"{topics.ROOT}/Not A Key/up/journal", b"{}"),
        ]
        for topic, payload in bad:
            tap.say(topic, payload)
        eventually(lambda: plant.book.count("quarantine") == len(bad), 30, "all are quarantined")
        reasons = [str(reason) for (reason,) in plant.book.rows("SELECT reason FROM quarantine")]
        assert all(reasons)
        assert sum(str(TEN_MEGABYTES)[:3] in reason for reason in reasons) == 1
        assert ingest.log_text().count("quarantined") == len(bad), "each is logged"
        metrics = httpx.get(f"{plant.cloud.address}/metrics").text
        assert f"inmetter_messages_quarantined_total {len(bad)}" in metrics

        for leaf, payload in (("ack", b"garbage"), ("resume", b"{}"), ("command", b'{"v":7}')):
            tap.say(topics.down(plant.site.gateway, leaf), payload)
        plant.programs["edge"].wait_for("downlink: dropped")
    _still_works(plant, ingest)


@pytest.mark.timeout(120)
def test_a_reading_of_the_year_2099_is_rejected_by_name(plant: Plant) -> None:
    plant.start_cloud("ingest")
    with plant.tap() as tap:
        gateway = PlayedGateway(tap, "played")
        gateway.introduce()
        now = now_ms()
        batch = gateway.batch(
            gateway.power(1, now - 2), gateway.power(2, IN_2099_MS), gateway.power(3, now)
        )
        gateway.send(batch)
        ((seq, reason),) = [(one.seq, one.reason) for one in gateway.wait_for_ack(batch).rejected]
    assert seq == batch.first + 1
    assert str(IN_2099_MS) in reason
    assert [value for value, _, _ in plant.book.readings("played").values()] == [1, 3]
    assert plant.book.latest("played", "meter", "power") == 3
    rows = plant.book.rows("SELECT seq, reason FROM rejected")
    assert list(rows) == [(seq, reason)]
    events = plant.book.rows("SELECT severity FROM event WHERE code = 'entry-rejected'")
    assert list(events) == [("alarm",)], "a person must see it"


def _still_works(plant: Plant, program: Program) -> None:
    """The program is the same as before, traffic goes on, and nothing was lost."""
    pid = program.pid
    plant.wait_for_entries(20)
    plant.check_books()
    assert program.running
    assert program.pid == pid
    assert "Traceback" not in program.log_text()
