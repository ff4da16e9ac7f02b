"""Why an M-Bus exchange failed, in words that tell an installer where to look. Pure."""

from common.errors import Disconnected, FrameError, NoAnswer, Retryable
from edge_agent.drivers.far_end import stranger
from edge_agent.protocols.mbus.selection import Secondary

HUNG_UP = (
    "another program may hold the converter's only connection, or what listens there is no "
    "transparent M-Bus converter"
)
TOO_SLOW = "the meter has answered before, and now sends nothing: too slow for timeout_s, or gone"
NO_FRAME = (
    "wrong baud rate or parity (M-Bus is 8E1), several meters with this address, disturbed "
    "wiring, or what listens there is no transparent M-Bus converter"
)


def with_cause(
    error: Retryable, address: int | Secondary, *, baud: int | None, heard: bytes, known: bool
) -> Retryable:
    """``error``, of its own class, with its likely causes.

    ``baud`` is the line's, None behind a converter; ``heard`` is what came last. ``known``: the
    meter has acknowledged what was sent before.
    """
    if isinstance(error, NoAnswer):
        return NoAnswer(f"{error}: {TOO_SLOW if known else silence_text(address, baud)}")
    if isinstance(error, FrameError):
        return FrameError(f"{error}: {stranger(heard) or NO_FRAME}")
    if isinstance(error, Disconnected):
        return Disconnected(f"{error}: {HUNG_UP}")
    return error


def silence_text(address: int | Secondary, baud: int | None) -> str:
    """Where to look when nothing at all comes."""
    kind = "address" if isinstance(address, int) else "secondary address"
    rate = (
        f"not {baud} baud as in the line's URL"
        if baud
        else "another baud rate at the converter, or no transparent M-Bus converter"
    )
    return (
        f"no meter has the {kind} {address}, no power on the bus, its two wires not connected, "
        f"or {rate}"
    )
