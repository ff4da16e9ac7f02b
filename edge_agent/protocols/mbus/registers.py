"""Which register a record is, and which OBIS code names it.

OBIS: IEC 62056-6-1 for electricity; EN 13757-1 and OMS volume 2, annex A, for the other media.
A code stands for a present value; group E is the tariff. What is not in the tables has none.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from common.registers import KINDS, Kind, Medium, Register

from .dif import Coding, Function
from .dif import interpret as interpret_dib
from .record import SUMMER_TIME, Record
from .vif import interpret as interpret_vib

FORWARD: Final = "positive contributions only"
BACKWARD: Final = "negative contributions only"
BASE_CONDITIONS: Final = "at base conditions"
UNCORRECTED: Final = "uncorrected"

_MAX_DECIMALS: Final = 9
_REAL_DECIMALS: Final = 3
"""What a float shows beyond the decimals of its VIF."""

_PHASES: Final = {
    "L1": "_l1",
    "L2": "_l2",
    "L3": "_l3",
    "N": "_n",
    "L1-L2": "_l1_l2",
    "L2-L3": "_l2_l3",
    "L3-L1": "_l3_l1",
}
_SUFFIXES: Final = {
    **_PHASES,
    FORWARD: "",
    BACKWARD: "_backward",
    BASE_CONDITIONS: "_base",
    UNCORRECTED: "_uncorrected",
}
_KINDS: Final = {
    "energy": Kind.ENERGY_IMPORT,
    "volume": Kind.VOLUME,
    "power": Kind.POWER,
    "volume flow": Kind.FLOW,
    "voltage": Kind.VOLTAGE,
    "current": Kind.CURRENT,
    "frequency": Kind.FREQUENCY,
    "flow temperature": Kind.TEMPERATURE,
    "return temperature": Kind.TEMPERATURE,
    "external temperature": Kind.TEMPERATURE,
}
_EXTREMES: Final = {Function.MAXIMUM: "_max", Function.MINIMUM: "_min"}


class _Group(NamedTuple):
    """Groups C and D of a code; ``rated`` when group E may be a tariff."""

    code: str
    rated: bool = False


# Quantity and the suffixes that its qualifiers give.
_ELECTRICITY: Final = {
    "energy": _Group("1.8", rated=True),
    "energy_backward": _Group("2.8", rated=True),
    "energy_l1": _Group("21.8", rated=True),
    "energy_l2": _Group("41.8", rated=True),
    "energy_l3": _Group("61.8", rated=True),
    "power": _Group("1.7"),
    "power_backward": _Group("2.7"),
    "power_l1": _Group("21.7"),
    "power_l2": _Group("41.7"),
    "power_l3": _Group("61.7"),
    "voltage_l1": _Group("32.7"),
    "voltage_l2": _Group("52.7"),
    "voltage_l3": _Group("72.7"),
    "current_l1": _Group("31.7"),
    "current_l2": _Group("51.7"),
    "current_l3": _Group("71.7"),
    "current_n": _Group("91.7"),
    "frequency": _Group("14.7"),
}
_GAS: Final = {
    "volume": _Group("3.0", rated=True),
    "volume_uncorrected": _Group("3.0", rated=True),
    "volume_base": _Group("3.2", rated=True),
}
_THERMAL: Final = {
    "energy": _Group("1.0", rated=True),
    "volume": _Group("2.0"),
    "power": _Group("8.0"),
    "volume flow": _Group("9.0"),
    "flow temperature": _Group("10.0"),
    "return temperature": _Group("11.0"),
    "temperature difference": _Group("12.0"),
}
_WATER: Final = {"volume": _Group("1.0", rated=True)}

# Group A and the codes of each medium.
_MEDIA: Final = {
    Medium.ELECTRICITY: ("1", _ELECTRICITY),
    Medium.GAS: ("7", _GAS),
    Medium.HEAT: ("6", _THERMAL),
    Medium.HEAT_INLET: ("6", _THERMAL),
    Medium.HEAT_COOLING: ("6", _THERMAL),
    Medium.COOLING: ("5", _THERMAL),
    Medium.COOLING_INLET: ("5", _THERMAL),
    Medium.WATER: ("8", _WATER),
    Medium.COLD_WATER: ("8", _WATER),
    Medium.HOT_WATER: ("9", _WATER),
    Medium.HOT_WATER_90: ("9", _WATER),
}


def obis_of(record: Record, medium: int | None) -> str | None:
    """The OBIS code of a present value of a meter of this device type; None when none is known."""
    suffix = _suffix(record)
    present = record.function is Function.INSTANTANEOUS and not (record.storage or record.subunit)
    if suffix is None or not present or medium not in _MEDIA:
        return None
    channel, codes = _MEDIA[Medium(medium)]
    group = codes.get(record.quantity + suffix)
    if group is None or (record.tariff and not group.rated):
        return None
    return f"{channel}-0:{group.code}.{record.tariff}"


def register_of(record: Record, medium: int | None) -> Register | None:
    """The register that a record of a meter of this device type is; None for those we have none.

    Its key is the quantity with the record's place: ``energy_import_t1`` is tariff 1, ``_s`` a
    storage number, ``_u`` a subunit. Its decimals hold an integer record exactly, up to 9.
    """
    kind, suffix = _KINDS.get(record.quantity), _suffix(record)
    if kind is None or suffix is None or KINDS[kind].unit != record.unit:
        return None
    extreme = _EXTREMES.get(record.function, "")
    if record.function is Function.ERROR or (extreme and KINDS[kind].counting):
        return None
    if kind is Kind.ENERGY_IMPORT and suffix.startswith("_backward"):
        kind, suffix = Kind.ENERGY_EXPORT, suffix.removeprefix("_backward")
    base = record.quantity.replace(" ", "_") if kind is Kind.TEMPERATURE else kind.value
    numbers = (("_t", record.tariff), ("_u", record.subunit), ("_s", record.storage))
    key = base + suffix + extreme + "".join(f"{mark}{n}" for mark, n in numbers if n)
    return Register(
        key,
        _name(record),
        _medium(medium),
        kind,
        _decimals(record),
        obis=obis_of(record, medium),
    )


def _suffix(record: Record) -> str | None:
    """What the qualifiers add to a key; None when one of them makes it another quantity."""
    words = [word for word in record.qualifiers if word != SUMMER_TIME]
    if not all(word in _SUFFIXES for word in words):
        return None
    return "".join(sorted(_SUFFIXES[word] for word in words))


def _name(record: Record) -> str:
    numbers = (
        ("tariff", record.tariff),
        ("subunit", record.subunit),
        ("storage", record.storage),
    )
    extreme = [] if record.function is Function.INSTANTANEOUS else [record.function.value]
    places = [f"{word} {n}" for word, n in numbers if n]
    return ", ".join([record.quantity.capitalize(), *record.qualifiers, *extreme, *places])


def _medium(code: int | None) -> Medium:
    try:
        return Medium(code or 0)
    except ValueError:
        return Medium.OTHER


def _decimals(record: Record) -> int:
    if not record.dib:  # The fixed structure has neither DIB nor VIB.
        exponent = record.value.as_tuple().exponent if isinstance(record.value, Decimal) else 0
        return max(0, -exponent) if isinstance(exponent, int) else 0
    decimals = -interpret_vib(record.vib).shift
    if interpret_dib(record.dib).coding is Coding.REAL:
        decimals += _REAL_DECIMALS
    return min(_MAX_DECIMALS, decimals)
