"""What a scan of an M-Bus line tells: progress, meters, and what stands in the way."""

from collections.abc import Sequence

from msgspec import Struct

from common.errors import Undecodable
from common.reading import Quality
from common.registers import Medium
from edge_agent.drivers.far_end import stranger
from edge_agent.profiles.mbus import load_profile, profile_names
from edge_agent.protocols.mbus.link import LongFrame
from edge_agent.protocols.mbus.selection import secondary_of
from edge_agent.protocols.mbus.telegram import Telegram, decode

SHOWN = 16
FAMILIES = (
    frozenset({Medium.HEAT, Medium.HEAT_INLET, Medium.HEAT_COOLING}),
    frozenset({Medium.COOLING, Medium.COOLING_INLET, Medium.HEAT_COOLING}),
    frozenset(
        {
            Medium.WATER,
            Medium.COLD_WATER,
            Medium.HOT_WATER,
            Medium.HOT_WATER_90,
            Medium.DUAL_WATER,
            Medium.WASTE_WATER,
        }
    ),
)
"""Media whose meters say the same things."""


class Progress(Struct, frozen=True):
    """How far the scan is, from 0 to 1, and what it asks next."""

    done: float
    asking: str


class Meter(Struct, frozen=True):
    """A meter that answered. What its telegrams do not tell is None.

    ``secondary`` finds it again (``parse_secondary``). ``profiles`` are those that fit, the one
    that finds most in its telegrams first; ``encrypted`` says why none may fit.
    """

    address: int | None
    secondary: str | None = None
    identification: str | None = None
    manufacturer: str | None = None
    version: int | None = None
    medium: str | None = None
    profiles: tuple[str, ...] = ()
    encrypted: bool = False


class Trouble(Struct, frozen=True):
    """Something that is there and cannot be read. ``kind``: collision, noise, mute."""

    kind: str
    where: str
    text: str


News = Progress | Meter | Trouble


def noise(where: str, raw: bytes) -> Trouble:
    """What was answered there is no M-Bus; its beginning is shown, for it may tell what it is."""
    shown = raw[:SHOWN]
    letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in shown)
    text = f"answered with what no question explains: {shown.hex(' ')} ({letters})"
    if other := stranger(raw):
        text = f"{text}: {other}"
    return Trouble("noise", where, text)


def meter_of(frames: Sequence[LongFrame], address: int | None = None) -> Meter:
    """Who speaks in the telegrams; ``address`` is the primary one, taken from them if not given."""
    telegrams = [decoded for frame in frames if (decoded := _decoded(frame))]
    primary = frames[0].address if frames and address is None else address
    header = telegrams[0].header if telegrams else None
    if header is None:
        return Meter(primary)
    secondary = secondary_of(frames[0])
    code = header.medium
    return Meter(
        primary,
        None if secondary is None else str(secondary),
        header.identification,
        header.manufacturer,
        header.version,
        None if code is None else medium_name(code),
        fitting_profiles(telegrams, code),
        any(one.encrypted for one in telegrams),
    )


def medium_name(code: int) -> str:
    """``cold water``; the code in hex where we know no name."""
    return Medium(code).label if code in Medium.__members__.values() else f"medium {code:02X}"


def fitting_profiles(telegrams: Sequence[Telegram], medium: int | None) -> tuple[str, ...]:
    """The profiles for the medium that find at least half of their registers, best first."""
    scores = []
    for name in profile_names():
        profile = load_profile(name)
        if not _related(Medium[profile.medium.upper()], medium):
            continue
        measured = profile.measure(telegrams)
        good = sum(one.quality is not Quality.NOT_AVAILABLE for one in measured)
        if good * 2 >= len(measured):
            scores.append((good, good / len(measured), name))
    return tuple(name for *_, name in sorted(scores, reverse=True))


def _related(one: int, other: int | None) -> bool:
    return one == other or any({one, other} <= family for family in FAMILIES)


def _decoded(frame: LongFrame) -> Telegram | None:
    try:
        return decode(frame)
    except Undecodable:
        return None
