"""Why a Modbus exchange failed, in words that tell an installer where to look. Pure."""

from edge_agent.drivers.far_end import stranger
from edge_agent.drivers.modbus_url import SerialPort, TcpPort
from edge_agent.protocols import modbus_rtu, modbus_tcp
from edge_agent.protocols.modbus import EXCEPTIONS

HINTS = {
    0x01: "the device does not know this function: try the other kind of register",
    0x02: "no such register: the address is off by one, the wrong kind, or another model's",
    0x03: "too many registers at once, or a number of them that this device does not allow",
    0x04: "the device has a fault of its own",
    0x06: "it may answer later",
    0x0A: "the gateway has no way to unit {unit}: look at its own settings",
    0x0B: "the gateway reached no unit {unit}: wrong unit number, wiring or baud rate",
}
"""What an exception (V1.1b3 §7; SDM and PAC on 03: register maps §1, §7) usually comes from."""

TRUNCATED = "the time-out is too short, or the line is disturbed"
SHORT = "it holds fewer registers than the profile says, or a gateway cuts answers"


def exception_text(code: int, unit: int) -> str:
    """``exception 02 (illegal data address): …``."""
    text = f"exception {code:02X} ({EXCEPTIONS.get(code, 'unknown')})"
    hint = HINTS.get(code)
    return f"{text}: {hint.format(unit=unit)}" if hint else text


def silence_text(to: TcpPort | SerialPort, unit: int) -> str:
    """Where to look when nothing at all comes."""
    if isinstance(to, SerialPort):
        return (
            f"wrong unit number (asked for {unit}), A and B swapped, no power, or not "
            f"{to.baud} baud {to.frame} as set on the device"
        )
    if to.rtu:
        return (
            f"wrong unit number (asked for {unit}), wiring or baud rate behind the converter, "
            "or the far end speaks Modbus TCP (tcp://)"
        )
    return (
        f"no unit {unit}, or the far end is a plain serial converter (rtu+tcp://) "
        "or no Modbus device at all"
    )


def hung_up_text(to: TcpPort | SerialPort) -> str:
    """Where to look when the far end closes the connection instead of answering."""
    if isinstance(to, SerialPort):
        return "the adapter was unplugged"
    other = "Modbus TCP (tcp://)" if to.rtu else "RTU (rtu+tcp://) or something else"
    return f"another program may hold its only connection, or it speaks {other}"


def rtu_text(data: bytes, sent: bytes) -> str:
    """What was wrong with ``data``, in which no answer to the RTU request ``sent`` was found."""
    if modbus_tcp.is_frame(data):
        return "the far end speaks Modbus TCP, not RTU: use tcp://"
    if units := modbus_rtu.strangers(data, sent):
        return (
            f"unit {units[0]} answered instead of unit {sent[0]}: "
            "a late answer, or a converter that changes unit numbers"
        )
    if functions := modbus_rtu.functions(data, sent):
        return f"the answer is for function {functions[0]}"
    if modbus_rtu.begins_answer(data.removeprefix(sent), sent):
        return f"the answer is cut short: {TRUNCATED}"
    if other := stranger(data):
        return other
    return (
        f"{len(data)} bytes that are no frame: wrong baud rate or parity, disturbed wiring, "
        f"or two devices with the number {sent[0]}"
    )


def tcp_text(reason: str, data: bytes, sent: bytes) -> str:
    """``reason`` why ``data`` answers no Modbus TCP request, with its likely cause."""
    if _is_rtu(data, modbus_rtu.frame(sent[6], sent[7:])):
        return f"{reason}: the far end speaks RTU: use rtu+tcp://"
    if other := stranger(data):
        return f"{reason}: {other}"
    return reason


def _is_rtu(data: bytes, as_rtu: bytes) -> bool:
    return bool(modbus_rtu.functions(data, as_rtu) or modbus_rtu.strangers(data, as_rtu))
