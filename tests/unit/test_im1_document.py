"""The document and the vectors say what the code does."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from edge_agent.drivers.c11do1eth import Limits
from edge_agent.protocols.c11do1eth import (
    FROM_DEVICE,
    FROM_SERVER,
    Auth,
    BadLine,
    Chal,
    Hello,
    NakCode,
    is_proof,
    parse,
)
from edge_agent.simulators.c11do1eth_core import C11Core
from tests.unit.test_im1_frames import line

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/devices/c11do1eth.md").read_text(encoding="utf-8")
VECTORS = json.loads((ROOT / "tests/vectors/im1.json").read_text(encoding="utf-8"))
EXAMPLES = DOCUMENT.split("```im1\n")[1].split("```")[0].splitlines()
TYPES = {frame.TYPE: frame for frame in (*FROM_DEVICE, *FROM_SERVER)}
ROWS = re.findall(r"^\| ([A-Z]{3,5}) \| (D → S|S → D|both) \| (\S+) \| (.*) \|$", DOCUMENT, re.M)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_document_is_a_frame_and_comes_back(example: str) -> None:
    assert parse(example.encode()).to_line() == example.encode() + b"\r\n"
    assert line(example[1:-5]) == example.encode()


def test_the_document_has_an_example_of_every_frame() -> None:
    assert {parse(example.encode()).TYPE for example in EXAMPLES} == set(TYPES)


def test_the_documents_table_has_every_frame_with_its_fields_in_order() -> None:
    assert {row[0] for row in ROWS} == set(TYPES)
    for kind, direction, seq, names in ROWS:
        frame = TYPES[kind]
        ours = [field.name for field in fields(frame) if field.name not in ("device", "seq")]
        assert names.split(", ") == ours
        assert len(ours) == len(frame.LAYOUT)
        numbers = "0" if not frame.NUMBER.maximum else f"{frame.NUMBER.minimum}..2³²−1"
        assert seq == numbers
        sides = {"D → S": (1, 0), "S → D": (0, 1), "both": (1, 1)}[direction]
        assert (frame in FROM_DEVICE, frame in FROM_SERVER) == sides


def test_the_document_explains_every_field() -> None:
    explained = {
        name.split(" ")[0]
        for cell in re.findall(r"^\| ([a-z_0-9, ()A-Z]+) \|", DOCUMENT, re.M)
        for name in cell.split(", ")
    }
    used = {field.name for frame in TYPES.values() for field in fields(frame)}
    assert used - {"device", "seq"} <= explained


def test_the_documents_limits_are_the_defaults() -> None:
    limits = Limits()
    for text in (
        f"| connections | {limits.connections} |",
        f"| handshake | {limits.handshake_s:.0f} s |",
        f"| lines before the proof | {limits.strange_lines} |",
        f"| PING after {limits.idle_s / 2:.0f} s | hung up on after {limits.idle_s:.0f} s |",
        f"| {limits.burst:,} at once, {limits.lines_per_s:.0f}/s for long |",
        f"| items a commit | {limits.group}; {2 * limits.group} wait",
        f"| unsent bytes | {limits.UNSENT_BYTES:,} |",
        f"ring of 3,400, batches of {C11Core.BATCH}, {C11Core.REMEMBERED} answers kept",
    ):
        assert text in DOCUMENT


def test_the_documents_proof_belongs_to_its_challenge() -> None:
    hello, challenge, auth = (parse(example.encode()) for example in EXAMPLES[:3])
    assert isinstance(hello, Hello)
    assert isinstance(challenge, Chal)
    assert isinstance(auth, Auth)
    key = VECTORS["proof"]["key"].encode()
    assert is_proof(auth.proof, key, hello.device, challenge.nonce, hello.boot)


def test_the_proof_is_the_one_that_openssl_gives() -> None:
    vector = VECTORS["proof"]
    nonce, proof = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["proof"])
    assert is_proof(proof, vector["key"].encode(), vector["device"], nonce, vector["boot"])


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: vector["line"][5:20])
def test_a_good_vector_is_read_field_by_field(vector: dict[str, Any]) -> None:
    frame = parse(vector["line"].encode())
    read = {field.name: getattr(frame, field.name) for field in fields(frame)}
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in read.items()} == vector["fields"]
    assert list(read) == list(vector["fields"])


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda vector: vector["line"][:30])
def test_a_bad_vector_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(BadLine) as bad:
        parse(vector["line"].encode())
    assert bad.value.code == NakCode(vector["code"])
