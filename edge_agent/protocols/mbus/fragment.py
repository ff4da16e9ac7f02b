"""The authentication and fragmentation layer (CI 90): EN 13757-7:2018, 6.3; OMS volume 2.

Its message authentication code is not checked: that a key fits, the clear text tells.
"""

from typing import Final

from msgspec import Struct

from common.errors import Undecodable

CI_FRAGMENT: Final = 0x90

_MORE_FRAGMENTS: Final = 0x4000
_MESSAGE_CONTROL: Final = 0x2000
_MESSAGE_COUNTER: Final = 0x0800
_KEY_INFORMATION: Final = 0x0200
_COUNTER_LENGTH: Final = 4


class Fragment(Struct, frozen=True):
    """``length`` bytes stand before the CI field of the message; ``counter`` low byte first."""

    length: int
    counter: bytes | None


def decode_fragment(data: bytes) -> Fragment:
    """The layer at the start of what follows CI 90.

    Raises Undecodable when it is cut off, or says that the message comes in several fragments.
    """
    end = 1 + data[0] if data else 0
    if end < 3 or end >= len(data):
        raise Undecodable("cut off in its fragmentation layer")
    control = int.from_bytes(data[1:3], "little")
    if control & _MORE_FRAGMENTS:
        raise Undecodable("a message in several fragments is not read")
    at = 3 + bool(control & _MESSAGE_CONTROL) + 2 * bool(control & _KEY_INFORMATION)
    counter = data[at : min(end, at + _COUNTER_LENGTH)]
    if not control & _MESSAGE_COUNTER:
        return Fragment(end, None)
    if len(counter) < _COUNTER_LENGTH:
        raise Undecodable("cut off in its message counter")
    return Fragment(end, counter)
