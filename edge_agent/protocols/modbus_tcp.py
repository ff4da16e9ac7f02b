"""Modbus TCP frames: is what arrived an answer to what was sent? Pure.

Modbus Messaging on TCP/IP V1.0b §3.1.3: transaction number, protocol 0, length, unit, PDU.
"""

MBAP_BYTES = 7
MAX_FRAME_BYTES = 260


def flaw(data: bytes, sent: bytes) -> str | None:
    """What is wrong with the frames in ``data`` (Modbus TCP) as an answer to ``sent``.

    A whole answer to another request, a late one, is not wrong: it is passed over.
    """
    while len(data) > MBAP_BYTES:
        length = 6 + int.from_bytes(data[4:6], "big")
        if data[2:4] != b"\0\0" or not MBAP_BYTES < length <= MAX_FRAME_BYTES:
            return "not a Modbus TCP frame"
        if len(data) < length:
            return None
        pdu = data[MBAP_BYTES:length]
        if data[:2] == sent[:2]:
            function = pdu[0]
            if function & 0x7F != sent[MBAP_BYTES]:
                return f"the answer is for function {function}"
            if function & 0x80:
                whole = len(pdu) == 2
            elif function == 5:
                whole = len(pdu) == 5
            else:
                whole = len(pdu) >= 2 and len(pdu) == 2 + pdu[1]
            if not whole:
                return "the answer is cut short"
        elif data[:2] == b"\0\0":
            return "the answer has no transaction number"
        data = data[length:]
    return None
