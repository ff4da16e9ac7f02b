"""Modbus RTU frames: unit, PDU, CRC. Pure, for both ends.

Modbus over serial line V1.02 §2.5.1.1; the CRC is of §6.2.2 there: polynomial 0xA001, start
0xFFFF, low byte first. Over TCP and USB the pauses that end a frame (§2.5.1.1) are lost: so a
frame is found by its length and its CRC.
"""

from collections.abc import Iterator

from edge_agent.protocols.crc import crc16_modbus
from edge_agent.protocols.modbus_pdu import (
    EXCEPTION,
    MAX_PDU,
    WRITE_COIL,
    WRITE_REGISTER,
    answer_size,
    request_size,
)

MIN_FRAME_BYTES = 4
MAX_FRAME_BYTES = 1 + MAX_PDU + 2


def crc(data: bytes) -> bytes:
    """The two bytes that end a frame."""
    return crc16_modbus(data).to_bytes(2, "little")


def frame(unit: int, pdu: bytes) -> bytes:
    """What goes over the line."""
    data = bytes((unit,)) + pdu
    return data + crc(data)


def find_answer(data: bytes, sent: bytes, *, echoes: bool = False) -> bytes | None:
    """The first frame in ``data`` that answers the request ``sent``; None while there is none.

    Noise, answers of other units or other functions and echoes of the request are passed over.
    The answer to a write looks like its echo: ``echoes`` says that this line repeats what is sent.
    """
    for found in _answers(data, sent, echoes=echoes):
        if found[0] == sent[0] and found[1] & ~EXCEPTION == sent[1]:
            return found
    return None


def strangers(data: bytes, sent: bytes) -> list[int]:
    """Units of the whole answers in ``data`` that come from another unit than was asked."""
    units = [found[0] for found in _answers(data, sent, echoes=True)]
    return [unit for unit in units if unit != sent[0]]


def functions(data: bytes, sent: bytes) -> list[int]:
    """Functions of the whole answers in ``data`` that come from the unit that was asked."""
    return [found[1] for found in _answers(data, sent, echoes=True) if found[0] == sent[0]]


def is_echoed(data: bytes, sent: bytes) -> bool:
    """Whether ``data`` shows that the line repeats what is sent; writes cannot show it."""
    return not _same_in_answer(sent) and data.startswith(sent)


def take_request(data: bytes) -> tuple[int, bytes, int] | None:
    """Unit and PDU of the first request in ``data``, and the bytes up to its end.

    None: there is no whole one yet. What is not a frame is passed over.
    """
    for offset in range(len(data) - MIN_FRAME_BYTES + 1):
        size = request_size(data[offset + 1 : -2])
        if size is None:
            continue
        end = offset + 1 + size + 2
        if end <= len(data) and crc(data[offset : end - 2]) == data[end - 2 : end]:
            return data[offset], data[offset + 1 : end - 2], end
    return None


def begins_answer(data: bytes, sent: bytes) -> bool:
    """Whether ``data`` starts as an answer to ``sent`` would, and stops before its end."""
    if len(data) < 2 or data[:2] != sent[:2] or sent.startswith(data):
        return False
    size = answer_size(data[1:])
    return size is None or len(data) < 1 + size + 2


def _same_in_answer(sent: bytes) -> bool:
    """Whether the answer repeats the request (V1.1b3 §6.5, §6.6)."""
    return sent[1] in (WRITE_COIL, WRITE_REGISTER)


def _answers(data: bytes, sent: bytes, *, echoes: bool) -> Iterator[bytes]:
    """Every frame in ``data`` that is whole, but for echoes of ``sent``.

    What stands inside a frame is none, whatever it looks like. A request for register 0x03xx is a
    frame of an answer with three bytes, too: so an echo has to be recognised first, also while it
    is only half there.
    """
    offset, echoes_left = 0, 1 if echoes else 0
    if not _same_in_answer(sent):
        echoes_left = len(data)
    while offset <= len(data) - MIN_FRAME_BYTES:
        rest = data[offset : offset + len(sent)]
        if echoes_left and sent.startswith(rest):
            offset += len(rest)
            echoes_left -= 1
            continue
        found = _frame_at(data, offset)
        if found is not None:
            yield found
        offset += len(found) if found else 1


def _frame_at(data: bytes, offset: int) -> bytes | None:
    """The answer that stands at ``offset``, if it is whole and its CRC is right."""
    size = answer_size(data[offset + 1 :])
    if size is None:
        return None
    end = offset + 1 + size + 2
    if end > len(data) or crc(data[offset : end - 2]) != data[end - 2 : end]:
        return None
    return data[offset:end]
