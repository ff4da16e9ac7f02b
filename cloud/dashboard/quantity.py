"""Values as people read them: scaled units, thin-space groups, never more digits than measured."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from cloud.services.views import ReadingView, RegisterView, RuleView
from common.reading import Quality
from common.registers import KINDS, Kind

THIN = "\u202f"  # narrow no-break space
NOTHING = "—"

QUALITIES = {
    Quality.GOOD: "good",
    Quality.ESTIMATED: "estimated",
    Quality.TIME_UNCERTAIN: "time uncertain",
    Quality.NOT_AVAILABLE: "not available",
    Quality.DEVICE_ERROR: "device error",
    Quality.OVERFLOW: "overflow",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in three parts, so that a page can set the fraction and the unit apart."""

    whole: str
    fraction: str = ""
    unit: str = ""

    @property
    def text(self) -> str:
        return f"{self.whole}{self.fraction}{THIN}{self.unit}" if self.unit else self.number

    @property
    def number(self) -> str:
        return self.whole + self.fraction


UNKNOWN = Shown(NOTHING)


def _split(value: Decimal, decimals: int, unit: str, rounding: str) -> Shown:
    cut = value.quantize(Decimal(1).scaleb(-decimals), rounding=rounding)
    whole, _, fraction = f"{cut:,f}".partition(".")
    return Shown(
        whole.replace(",", THIN).replace("-", "−"), f".{fraction}" if fraction else "", unit
    )


def index(register: RegisterView, value: Decimal | None) -> Shown:
    """The face of the meter; cut, never rounded up: an index must not run ahead of its meter."""
    if value is None:
        return UNKNOWN
    if register.unit == "Wh":
        return _split(value / 1000, min(3, register.decimals + 3), "kWh", ROUND_DOWN)
    return _split(value, min(3, register.decimals), register.unit, ROUND_DOWN)


def measured(unit: str, value: Decimal | None, decimals: int = 3) -> Shown:
    """A present value or a threshold in three significant digits, in the unit that fits it."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if unit in {"W", "Wh"}:
        for factor, prefix in ((1_000_000, "M"), (1000, "k")):
            if size >= factor:
                return _three(value / factor, prefix + unit, 2)
        return _three(value, unit, min(decimals, 1))
    if unit == "m³/h" and 0 < size < 1:
        return _three(value * 1000, "l/h", 1)
    return _three(value, unit, decimals)


def amount(unit: str, value: Decimal | None) -> Shown:
    """A consumption: litres below one cubic metre, Wh below one kWh."""
    if value is None:
        return UNKNOWN
    if unit == "m³":
        return _three(value * 1000, "l", 0) if abs(value) < 1 else _three(value, unit, 2)
    return measured(unit, value, 2)


def _three(value: Decimal, unit: str, most: int) -> Shown:
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return _split(value, min(digits, most), unit, ROUND_HALF_EVEN)


def present(register: RegisterView, reading: ReadingView | None) -> Shown:
    """Any register's value: an index as an index, a state by its name, the rest measured."""
    if reading is None or reading.value is None:
        return UNKNOWN
    if register.states is not None and reading.value in (0, 1):
        return Shown(register.states[int(reading.value)])
    if register.counting:
        return index(register, reading.value)
    return measured(register.unit, reading.value, register.decimals)


def plot_scale(kind: Kind) -> tuple[Decimal, str]:
    """Factor and unit for a chart of registers of this kind."""
    unit = KINDS[kind].unit
    if unit in {"W", "Wh"}:
        return Decimal("0.001"), f"k{unit}"
    return Decimal(1), unit


def duration(span: timedelta) -> str:
    """A span in its greatest fitting unit: ``240 ms``, ``1.3 s``, ``20 s``, ``5 min``, ``3 d``."""
    ms = round(span.total_seconds() * 1000)
    if ms < 1000:
        return f"{max(ms, 0)}{THIN}ms"
    if ms < 10_000:
        return f"{ms / 1000:.1f}{THIN}s"
    for size, unit, limit in ((1000, "s", 90), (60_000, "min", 90), (3_600_000, "h", 48)):
        if ms < size * limit:
            return f"{ms // size}{THIN}{unit}"
    return f"{ms // 86_400_000}{THIN}d"


def count(number: int) -> str:
    """A whole number in groups of three."""
    return f"{number:,}".replace(",", THIN)


def size(octets: int) -> str:
    """A size in bytes, kB or MB."""
    if octets < 1000:
        return f"{octets}{THIN}B"
    if octets < 1_000_000:
        return f"{octets / 1000:.0f}{THIN}kB"
    return f"{octets / 1_000_000:.1f}{THIN}MB"


def clock_time(at: datetime) -> str:
    """A moment, to the second, in the zone that it carries."""
    return f"{at:%d %b %Y, %H:%M:%S}"


def _threshold(unit: str, value: Decimal) -> str:
    """A limit that somebody set: all of its digits, and no noughts after them."""
    if unit in {"W", "Wh"} and abs(value) >= 1000:
        value, unit = value / 1000, f"k{unit}"
    digits = f"{value.normalize():f}"
    return f"{digits}{THIN}{unit}" if unit else digits


VERBS = {"open": "opens", "closed": "closes", "on": "switches on", "off": "switches off"}


def rule_sentence(rule: RuleView, states: tuple[str, str] | None) -> str:
    """What the rule does, in words: ``Opens above 40 kW for 20 s, closes below 33 kW``."""
    low, high = states or ("0", "1")
    hold = f" for {duration(timedelta(seconds=rule.hold_s))}" if rule.hold_s else ""
    above, below = (_threshold(rule.unit, v) for v in (rule.above, rule.below))
    sentence = (
        f"{VERBS.get(high, f'sets {high}')} above {above}{hold}, "
        f"{VERBS.get(low, f'sets {low}')} below {below}{hold}"
    )
    return sentence[0].upper() + sentence[1:]
