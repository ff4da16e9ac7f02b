"""How long a Modbus PDU is, from its first bytes. Pure.

A PDU is the function code and its data (Modbus Application Protocol V1.1b3 §4.1); TCP and RTU frame
the same PDUs. Not all functions are here: those that we ask with, and those that are common.
"""

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
IDENTIFY = 0x2B
IDENTIFY_TYPE = 0x0E
"""Encapsulated interface, type "read device identification" (V1.1b3 §6.21)."""

EXCEPTION = 0x80
MAX_PDU = 253


def answer_size(pdu: bytes) -> int | None:
    """Bytes of the whole answer that ``pdu`` begins; None: more are needed to know.

    An answer of a function that is not known here is taken to be as long as it is.
    """
    if not pdu:
        return None
    function = pdu[0]
    if function & EXCEPTION:
        return 2
    if function in (READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT):
        return 2 + pdu[1] if len(pdu) > 1 else None
    if function in (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS):
        return 5
    if function == IDENTIFY:
        return _identification_size(pdu)
    return len(pdu)


def request_size(pdu: bytes) -> int | None:
    """Bytes of the whole request that ``pdu`` begins; None: more are needed to know.

    A request of a function that is not known here is taken to be as long as it is.
    """
    if not pdu:
        return None
    function = pdu[0]
    if READ_COILS <= function <= WRITE_REGISTER:
        return 5
    if function in (WRITE_COILS, WRITE_REGISTERS):
        return 6 + pdu[5] if len(pdu) > 5 else None
    if function == IDENTIFY:
        return 4
    return len(pdu)


def _identification_size(pdu: bytes) -> int | None:
    """Six bytes, the number of objects, and id, length and value of each (V1.1b3 §6.21)."""
    size = 7
    if len(pdu) < size:
        return None
    for _ in range(pdu[6]):
        if len(pdu) < size + 2:
            return None
        size += 2 + pdu[size + 1]
    return size
