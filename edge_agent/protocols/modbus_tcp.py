"""Modbus TCP frames: is what arrived an answer to what was sent? Pure.

Modbus Messaging on TCP/IP V1.0b §3.1.3: transaction number, protocol 0, length, unit, PDU.
"""

from common.errors import FrameError
from edge_agent.protocols.modbus_pdu import (
    EXCEPTION,
    MAX_PDU,
    WRITE_COIL,
    WRITE_REGISTER,
    answer_size,
)

MBAP_BYTES = 7
MAX_FRAME_BYTES = MBAP_BYTES + MAX_PDU


def find_answer(data: bytes, sent: bytes) -> bytes | None:
    """The frame in ``data`` that answers the request ``sent``; None while there is none.

    A whole answer to another request, a late one, is passed over. Raises FrameError for what
    cannot be an answer, with the reason.
    """
    while len(data) > MBAP_BYTES:
        length = 6 + int.from_bytes(data[4:6], "big")
        if data[2:4] != b"\0\0" or not MBAP_BYTES < length <= MAX_FRAME_BYTES:
            raise FrameError("not a Modbus TCP frame")
        if len(data) < length:
            return None
        if data[:2] == sent[:2]:
            _check(data[6:length], sent[6:])
            return data[:length]
        if data[:2] == b"\0\0":
            raise FrameError("the answer has no transaction number")
        data = data[length:]
    return None


def strangers(data: bytes, sent: bytes) -> list[int]:
    """Units of the whole frames in ``data`` that answer other requests than ``sent``."""
    units = []
    while len(data) > MBAP_BYTES:
        length = 6 + int.from_bytes(data[4:6], "big")
        if data[2:4] == b"\0\0" and data[:2] != sent[:2] and MBAP_BYTES < length <= len(data):
            units.append(data[6])
        data = data[length:]
    return units


def is_frame(data: bytes) -> bool:
    """Whether ``data`` is one whole Modbus TCP frame."""
    length = 6 + int.from_bytes(data[4:6], "big")
    return len(data) == length > MBAP_BYTES and data[2:4] == b"\0\0"


def _check(answer: bytes, request: bytes) -> None:
    """Unit and PDU of an answer. A request to unit 0 may be answered by any. Raises FrameError."""
    unit, pdu = answer[0], answer[1:]
    if request[0] not in (0, unit):
        raise FrameError(f"unit {unit} answered instead of unit {request[0]}")
    if answer == request and pdu[0] not in (WRITE_COIL, WRITE_REGISTER):
        raise FrameError("the far end gives back what is sent (echo)")
    if pdu[0] & ~EXCEPTION != request[1]:
        raise FrameError(f"the answer is for function {pdu[0]}")
    if answer_size(pdu) != len(pdu):
        raise FrameError("the answer is cut short")
