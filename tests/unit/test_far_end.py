"""What listens where a converter was expected is known by what it says."""

import pytest

from edge_agent.drivers.far_end import stranger


@pytest.mark.parametrize(
    ("heard", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "a web server"),
        (b"<!DOCTYPE HTML>", "a web server"),
        (b"<HTML><head>", "a web server"),
        (b"SSH-2.0-dropbear_2022.83\r\n", "an SSH server"),
        (bytes.fromhex("fffb01fffb03"), "a telnet console"),
    ],
)
def test_a_stranger_is_named_by_what_it_says(heard: bytes, what: str) -> None:
    assert (stranger(heard) or "").startswith(f"{what} answers there: wrong port")


@pytest.mark.parametrize(
    "heard",
    ["", "e5", "ff", "fffb", "fffb01", "fffb01fffb", "6803036808", "3c0302000a", "fffffffffffff0"],
)
def test_bytes_that_a_line_may_have_are_nobodys(heard: str) -> None:
    assert stranger(bytes.fromhex(heard)) is None
